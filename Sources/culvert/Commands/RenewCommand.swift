import ArgumentParser
import HTTP1
import Tunnel

/// `culvert renew [NAME]`: moves running sessions to new WebSockets.
struct RenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Moves running sessions to new WebSockets, for instance before a front or proxy is taken down.",
        discussion:
            "A server's clients dial within half a minute, ten a second; a client dials at once. The streams go on. "
            + "Each old WebSocket is closed once its successor is up."
    )

    @Argument(help: "At a server, the client's name, or CLIENT/NAME for one of its processes. (default: all)")
    var name: String?

    @Option(help: "The admin socket of the server or client.")
    var admin = AdminOption.standard

    func validate() throws {
        guard AdminOption.socketPath(admin) != nil else {
            throw ValidationError("--admin: expected unix:/PATH; renew works on a unix socket only")
        }
        if name?.isEmpty == true { throw ValidationError("give the client's name, or no argument for all clients") }
    }

    func run() async throws {
        guard let path = AdminOption.socketPath(admin) else { return }
        let query = name.map { "?name=\(PercentEncoding.encode($0))" } ?? ""
        let data = try await AdminClient(path: path).ask("POST", "/renew\(query)")
        do {
            let result = try StatusJSON.decode(RenewResult.self, from: data)
            Output.line(result.report ?? "\(CompactNumber.count(result.asked, "session")) asked for another WebSocket")
        } catch {
            throw Failure(.notOurProtocol, "the answer is not what this release expects")
        }
    }
}
