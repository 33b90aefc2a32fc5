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

    @OptionGroup var admin: AdminSocketOption

    func validate() throws {
        guard !name.isEmpty else { throw ValidationError("give the client's name") }
    }

    func run() async throws {
        let path = try admin.path(needsServer: true)
        let data = try await AdminClient(path: path).ask("POST", "/kick?name=\(PercentEncoding.encode(name))")
        do {
            let result = try StatusJSON.decode(KickResult.self, from: data)
            guard result.kicked > 0 else { throw admin.noClient(name) }
            Output.line("\(CompactNumber.count(result.kicked, "session")) of \(name.escapedForDisplay()) disconnected")
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(.notOurProtocol, "the answer is not what this release expects")
        }
    }
}
