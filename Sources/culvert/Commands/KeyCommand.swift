import ArgumentParser
import Tunnel

/// `culvert key`: prints the server's public key, which clients may be told before they dial.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Prints the server's public key and its fingerprint, for clients; makes the key if there is none.",
        discussion: """
            Run it as the server's user. A client takes the key with --server-key. Without that flag it remembers the key \
            of the first session, and the fingerprint in its log is to be compared with this one.
            """
    )

    @Option(help: "The file of the server's private key. (default: server.key in the state folder)")
    var keyFile: String?

    @Option(help: "The server's configuration, whose key_file names the file.")
    var config: String?

    func run() throws {
        let path = try path()
        let key: ServerKey?
        let isNew: Bool
        do throws(ServerKeyFile.Unusable) {
            (key, isNew) = try ServerKeyFile(path: path).key()
        } catch {
            throw Failure(.configuration, error.text)
        }
        guard let key else { throw Failure(.bug, "there is no key in \(path)") }
        if isNew { Output.error("culvert: \(path) was made, with a new key") }
        Output.line(key.publicKey.text)
        Output.line("fingerprint \(key.publicKey.fingerprint)")
    }

    private func path() throws(Failure) -> String {
        if let keyFile { return keyFile }
        if let config {
            let problems = ConfigurationProblems(config)
            let file = ConfigurationFile(path: config, problems)
            let path = file.string("key_file")
            try problems.settle()
            guard !CheckCommand.isClients(file) else {
                throw Failure(.configuration, "\(config) is a client's configuration; give the server's to --config")
            }
            if let path { return path }
        }
        guard let path = StateFolder.ofThisProcess.serverKey else {
            throw Failure(
                .configuration,
                "no folder for the server's key: HOME is not set; name a file with --key-file"
            )
        }
        return path
    }
}
