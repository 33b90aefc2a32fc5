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

    @Option(help: "Write a new token to this file, mode 0600, and print only its verifier. An existing file stays.")
    var out: String?

    func validate() throws {
        if from != nil, out != nil { throw ValidationError("--out makes a new token, and --from reads one") }
    }

    func run() throws {
        let text: String
        if let from {
            text = try SecretFile.read(from, what: "token")
        } else {
            var generator = SystemRandomNumberGenerator()
            text = Token.random(using: &generator)
        }
        let token: Token
        do throws(Token.Unsuitable) {
            token = try Token(text)
        } catch {
            throw Failure(.badData, from.map { "\($0): \(error)" } ?? "\(error)")
        }
        if let out { try write(text, to: out) } else if from == nil { Output.line("token \(text)") }
        Output.line("verifier \(token.credentials().verifier.line)")
    }

    private func write(_ text: String, to path: String) throws(Failure) {
        let remedy = "choose a folder that you can write"
        guard try PrivateFile.make(path, line: text, what: "token file", remedy: remedy) else {
            throw Failure(.configuration, "\(path) exists, and is not overwritten; choose another name, or remove it")
        }
    }
}
