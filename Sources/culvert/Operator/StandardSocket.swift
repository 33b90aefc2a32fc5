import Platform
import Tunnel

/// The socket of a role at which the operator's commands find it without a flag.
///
/// | the process | folder |
/// |---|---|
/// | a unit of systemd with `RuntimeDirectory` | the first folder in `$RUNTIME_DIRECTORY` |
/// | a user's | `culvert` in `$XDG_RUNTIME_DIR` |
/// | neither | `/run/culvert`, if it is there and the process can write it |
struct StandardSocket {
    /// The system's folder.
    static let systemFolder = "/run/culvert"
    static let server = "server.sock"
    /// The socket of a client without a name.
    static let client = "client.sock"
    static let suffix = ".sock"

    /// Those of this process.
    static var ofThisProcess: StandardSocket {
        var environment: [String: String] = [:]
        for name in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        return StandardSocket(environment)
    }

    private let environment: [String: String]

    /// - Parameter environment: the environment of the process.
    init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// The file of a client's socket. `--name` may have any character, and a file's name has no slash.
    static func client(name: String) -> String {
        name.isEmpty ? client : "client-\(PercentEncoding.encode(name))\(suffix)"
    }

    /// The path of a socket for a role that starts; nil if there is no folder for it.
    func path(_ file: String) -> String? {
        if let folder = variable("RUNTIME_DIRECTORY")?.split(separator: ":").first { return "\(folder)/\(file)" }
        if let folder = userFolder { return "\(folder)/\(file)" }
        guard access(Self.systemFolder, W_OK | X_OK) == 0 else { return nil }
        return "\(Self.systemFolder)/\(file)"
    }

    /// The folder of the user's own processes; nil without `$XDG_RUNTIME_DIR`.
    var userFolder: String? { variable("XDG_RUNTIME_DIR").map { "\($0)/culvert" } }

    private func variable(_ name: String) -> String? {
        environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }
}
