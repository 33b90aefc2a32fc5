import Platform

/// The folder in which a role keeps what must outlive it: the server's key, and the servers that a client knows.
///
/// | the process | folder |
/// |---|---|
/// | a unit of systemd with `StateDirectory` | the first folder in `$STATE_DIRECTORY` |
/// | a user's, with `$XDG_STATE_HOME` | `culvert` in it |
/// | a user's | `.local/state/culvert` in `$HOME` |
struct StateFolder {
    /// That of this process.
    static var ofThisProcess: StateFolder {
        var environment: [String: String] = [:]
        for name in ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        return StateFolder(environment)
    }

    /// The unit's folder; nil for a process without one.
    let ofUnit: String?
    /// The folder, which may not exist yet; nil if no variable names one.
    let path: String?

    /// - Parameter environment: the environment of the process. Relative paths are ignored.
    init(_ environment: [String: String]) {
        func absolute(_ path: (some StringProtocol)?) -> String? {
            path.flatMap { $0.hasPrefix("/") ? String($0) : nil }
        }
        ofUnit = absolute(environment["STATE_DIRECTORY"]?.split(separator: ":").first)
        let home = absolute(environment["XDG_STATE_HOME"]) ?? absolute(environment["HOME"]).map { "\($0)/.local/state" }
        path = ofUnit ?? home.map { "\($0)/culvert" }
    }

    /// The default file of the server's key.
    var serverKey: String? { path.map { "\($0)/server.key" } }
    /// The file of the servers that clients know.
    var knownServers: String? { path.map { "\($0)/known_servers" } }
}
