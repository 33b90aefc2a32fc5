import ArgumentParser
import HTTPRelay

/// `culvert password`: makes the line of one visitor for `basic_auth_file`.
struct PasswordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password",
        abstract: "Prints a line for basic_auth_file: a visitor's name and the verifier of its password.",
        discussion: "The password is one line of standard input, or of a file. It is never an argument."
    )

    @Argument(help: "The visitor's name, without a colon.")
    var user: String

    @Option(help: "Read the password from this file instead of standard input.")
    var from: String?

    func run() throws {
        let text =
            if let from { SecretFile.withoutLineEnd(try SecretFile.read(from, what: "password")) } else {
                readLine() ?? ""
            }
        var generator = SystemRandomNumberGenerator()
        do throws(VisitorPassword.Unsuitable) {
            Output.line(try VisitorPassword(user: user, password: text, using: &generator).line)
        } catch {
            throw Failure(.badData, from.map { "\($0): \(error)" } ?? "\(error)")
        }
    }
}
