import Mux
import Platform
import Tunnel

/// A new token for a client, and the lines with which its user installs it.
struct ClientToken {
    let text: String
    let verifier: String

    /// Makes a random token.
    init() throws(Failure) {
        var generator = SystemRandomNumberGenerator()
        text = Token.random(using: &generator)
        do throws(Token.Unsuitable) {
            verifier = try Token(text).credentials().verifier.line
        } catch {
            throw Failure(.bug, "\(error)")
        }
    }

    /// Prints the token, or writes it to a file of this user alone, before a change that makes it valid.
    ///
    /// - Parameter change: if it fails, the file goes.
    func hand(over file: String?, before change: () throws(Failure) -> Void) throws(Failure) {
        guard let file else {
            try change()
            return Output.line("token \(text)")
        }
        let remedy = "choose a folder that you can write"
        guard try PrivateFile.make(file, line: text, what: "token file", remedy: remedy) else {
            throw Failure(.configuration, "\(file) exists, and is not overwritten; choose another name, or remove it")
        }
        do throws(Failure) {
            try change()
        } catch {
            unlink(file)
            throw error
        }
    }

    /// The lines for the client's machine.
    ///
    /// - Parameters:
    ///   - file: the file that has the token here, if it was written to one.
    ///   - url: the server's URL.
    ///   - port: a public port that the client may have.
    func instructions(file: String?, url: String, port: UInt16?) -> [String] {
        let install =
            file.map { "copy \($0) there as the file token, readable by its user alone (chmod 600 token)" }
            ?? "write the token to a file token there, readable by its user alone (umask 077)"
        let remote = port.map { " -R \($0):localhost:22" } ?? " -R PORT:localhost:22"
        return ["on the client's machine:", "  \(install)", "  culvert client \(url) --token-file token\(remote)"]
    }
}
