import Tunnel
import TunnelCore

/// Checks the folder of `--unix-directory`.
enum UnixDirectory {
    /// Why a text cannot be the folder's path; nil if it can. One slash may follow it.
    static func malformation(_ path: String) -> String? {
        let plain = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard case .path? = Destination(plain) else {
            return "expected the absolute path of a folder, without empty parts, . or .."
        }
        return nil
    }

    /// Why the folder cannot have clients' sockets now; nil if it can.
    static func problem(_ path: String) -> String? { UnixListener.problem(ofFolder: path) }
}
