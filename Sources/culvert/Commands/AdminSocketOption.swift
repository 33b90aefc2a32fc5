import ArgumentParser
import HTTP1
import Tunnel

/// `--admin` of the commands that ask a running role.
struct AdminSocketOption: ParsableArguments {
    @Option(
        help:
            "The role's admin socket, unix:/PATH. (default: the one that is found in /run/culvert or $XDG_RUNTIME_DIR)"
    )
    var admin: String?

    func validate() throws {
        guard let admin, AdminOption.socketPath(admin) == nil else { return }
        throw ValidationError("--admin: expected unix:/PATH; this command works on a unix socket only")
    }

    /// The path of the socket.
    ///
    /// - Parameter needsServer: whether a client's socket is no choice.
    func path(needsServer: Bool = false) throws(Failure) -> String {
        if let path = admin.flatMap(AdminOption.socketPath) { return path }
        return try AdminSocketSearch(.ofThisProcess).only(needsServer: needsServer)
    }

    /// The error for a client that the server does not have.
    func noClient(_ name: String) -> Failure {
        Failure(.unreachable, "no session of a client \(name.escapedForDisplay()); `culvert status` lists the clients")
    }
}
