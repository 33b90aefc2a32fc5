import ArgumentParser
import HTTP1
import Tunnel

/// `culvert renew [NAME]`: other WebSockets for running sessions, before the present ones are cut.
struct RenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Moves running sessions to other WebSockets, before a front or proxy is taken down.",
        discussion:
            "Asked of a server, its clients dial anew within half a minute, ten a second; asked of a client, it does so "
            + "at once. The streams go on. Each old WebSocket is closed when its successor stands."
    )

    @Argument(help: "Of a server: the client's name, or CLIENT/NAME for one of its processes. (default: all)")
    var name: String?

    @Option(help: "The admin socket of the server or client.")
    var admin = AdminOption.standard

    func validate() throws {
        guard AdminOption.socketPath(admin) != nil else {
            throw ValidationError("--admin: expected unix:/PATH; renew works on a unix socket only")
        }
        if name?.isEmpty == true { throw ValidationError("give the client's name, or none for all") }
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
