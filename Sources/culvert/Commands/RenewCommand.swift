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

    @OptionGroup var admin: AdminSocketOption

    func validate() throws {
        if name?.isEmpty == true { throw ValidationError("give the client's name, or no argument for all clients") }
    }

    func run() async throws {
        let path = try admin.path()
        let query = name.map { "?name=\(PercentEncoding.encode($0))" } ?? ""
        let data = try await AdminClient(path: path).ask("POST", "/renew\(query)")
        do {
            let result = try StatusJSON.decode(RenewResult.self, from: data)
            if let name, result.asked == 0 { throw admin.noClient(name) }
            Output.line(result.report ?? "\(CompactNumber.count(result.asked, "session")) asked for another WebSocket")
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(.notOurProtocol, "the answer is not what this release expects")
        }
    }
}
