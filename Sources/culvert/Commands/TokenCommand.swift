import ArgumentParser
import Mux

/// `culvert token`: makes a token, and the verifier that the server keeps.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Prints a new random token, and the verifier line for the server's configuration; both are secret."
    )

    @Option(help: "Read the token from this file instead of making one.")
    var from: String?

    func run() throws {
        let text: String
        if let from {
            text = try SecretFile.read(from, what: "token")
        } else {
            var generator = SystemRandomNumberGenerator()
            text = Token.random(using: &generator)
        }
        do throws(Token.Unsuitable) {
            let token = try Token(text)
            if from == nil { Output.line("token \(text)") }
            Output.line("verifier \(token.credentials().verifier.line)")
        } catch {
            throw Failure(.badData, from.map { "\($0): \(error)" } ?? "\(error)")
        }
    }
}
