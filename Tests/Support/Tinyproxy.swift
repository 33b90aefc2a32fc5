/// A running Tinyproxy on loopback.
public struct Tinyproxy: Sendable {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    private let log: String

    /// The URL for `--proxy`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// The log's lines of CONNECTs to a port. Tinyproxy writes one when the request arrives.
    public func connects(to target: UInt16) -> [String] {
        logLines(log, containing: ["Request", "CONNECT", ":\(target) "])
    }

    /// The log's lines of established tunnels to loopback.
    public var established: [String] { logLines(log, containing: ["Established connection to host", "127.0.0.1"]) }

    /// Starts a proxy.
    ///
    /// - Parameters:
    ///   - user: the user whose Basic credentials the proxy demands, with `password`; nil for an open proxy.
    ///   - connectPorts: the only ports to which the proxy connects; empty for all.
    ///   - source: the address from which it connects; nil for the system's choice.
    public static func start(
        in scenario: Scenario,
        user: String? = nil,
        password: String = "",
        connectPorts: [UInt16] = [],
        source: String? = nil
    ) async throws -> Tinyproxy {
        let port = try FreePorts.next()
        let folder = try scenario.folder("tinyproxy-\(port)")
        var further = connectPorts.map { "ConnectPort \($0)" }
        if let user { further.append("BasicAuth \(user) \(password)") }
        if let source { further.append("Bind \(source)") }
        try scenario.write(
            """
            Port \(port)
            Listen 127.0.0.1
            Timeout 600
            LogFile "\(folder)/log"
            LogLevel Info
            MaxClients 100
            Allow 127.0.0.1
            \(further.joined(separator: "\n"))

            """,
            to: "\(folder)/tinyproxy.conf"
        )
        let process = try scenario.start(
            "tinyproxy",
            Program.tinyproxy.required(),
            ["-d", "-c", "\(folder)/tinyproxy.conf"]
        )
        try await waitUntilListening(port, process)
        return Tinyproxy(process: process, port: port, log: "\(folder)/log")
    }
}
