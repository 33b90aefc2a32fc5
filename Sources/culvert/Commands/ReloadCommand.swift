import ArgumentParser
import Tunnel

/// `culvert reload`: makes a running role read its configuration again.
struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Makes a running server or client read its configuration again, and says what has changed.",
        discussion:
            "It does what SIGHUP does, and reports the outcome. A configuration with a mistake changes nothing, and "
            + "the exit code is then 78."
    )

    @OptionGroup var admin: AdminSocketOption

    func run() async throws {
        try await Self.reload(admin.path())
    }

    /// Asks the role at a socket, and prints the outcome.
    ///
    /// - Throws: a failure with 78 if nothing was applied.
    static func reload(_ path: String) async throws(Failure) {
        let data = try await AdminClient(path: path).ask("POST", "/reload")
        let result: ReloadResult
        do {
            result = try StatusJSON.decode(ReloadResult.self, from: data)
        } catch {
            throw Failure(.notOurProtocol, "the answer is not what this release expects")
        }
        if let problem = result.problem {
            throw Failure(.configuration, "not reloaded, and nothing has changed: \(problem)")
        }
        for line in result.changes + result.restart { Output.line(line) }
        if result.changes.isEmpty, result.restart.isEmpty { Output.line("reloaded; nothing has changed") }
    }
}
