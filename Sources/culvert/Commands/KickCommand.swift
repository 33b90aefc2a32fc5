import ArgumentParser
import HTTP1
import Tunnel

/// `culvert kick NAME`: ends a client's sessions.
struct KickCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kick",
        abstract: "Disconnects a client from a running server.",
        discussion:
            "The client learns the reason, and dials again after ten seconds. To keep it out, remove or disable its "
            + "entry in the configuration and send the server SIGHUP."
    )

    @Argument(help: "The client's name, or CLIENT/NAME for one of its processes, as `culvert status` shows it.")
    var name: String

    @Option(help: "The admin socket of the server.")
    var admin = AdminOption.standard

    func validate() throws {
        guard AdminOption.socketPath(admin) != nil else {
            throw ValidationError("--admin: expected unix:/PATH; kick works on a unix socket only")
        }
        guard !name.isEmpty else { throw ValidationError("give the client's name") }
    }

    func run() async throws {
        guard let path = AdminOption.socketPath(admin) else { return }
        let data = try await AdminClient(path: path).ask("POST", "/kick?name=\(PercentEncoding.encode(name))")
        do {
            let result = try StatusJSON.decode(KickResult.self, from: data)
            Output.line("\(CompactNumber.count(result.kicked, "session")) of \(name.escapedForDisplay()) disconnected")
        } catch {
            throw Failure(.notOurProtocol, "the answer is not what this release expects")
        }
    }
}
