/// A running Caddy on loopback.
public struct Caddy: Front {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    /// Its certificate, and the CA for it.
    public let certificate: Certificate?
    private let folder: String

    /// The access log's lines of WebSocket connections. They have no status, so a field of the answer identifies them.
    public var upgrades: [String] {
        logLines("\(folder)/access.log", containing: ["\"uri\":\"/tunnel\"", "Sec-Websocket-Accept"])
    }

    /// Starts the front of Fixtures/caddy/Caddyfile.
    ///
    /// - Parameter upstream: the server's port.
    public static func front(of upstream: UInt16, in scenario: Scenario) async throws -> Caddy {
        let port = try FreePorts.next()
        let folder = try scenario.folder("caddy-\(port)")
        let certificate = try await Certificate.make(in: scenario).installed(in: folder, of: scenario)
        let site = try Fixture.text(
            "caddy/Caddyfile",
            replacing: [
                ("\ntunnel.example.com {", "\nlocalhost:\(port) {\n\tlog {\n\t\toutput file \(folder)/access.log\n\t}"),
                (
                    "# tls /etc/ssl/tunnel.example.com.pem /etc/ssl/private/tunnel.example.com.key",
                    "tls \(certificate.certificate) \(certificate.key)"
                ),
                ("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:\(upstream)"),
            ]
        )
        try scenario.write(
            """
            {
            \tadmin 127.0.0.1:\(FreePorts.next())
            \tdefault_bind 127.0.0.1
            \tauto_https disable_redirects
            }

            """ + site,
            to: "\(folder)/Caddyfile"
        )
        let process = try scenario.start(
            "caddy",
            Program.caddy.required(),
            ["run", "--config", "\(folder)/Caddyfile", "--adapter", "caddyfile"],
            environment: ["XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder]
        )
        try await waitUntilListening(port, process)
        return Caddy(process: process, port: port, certificate: certificate, folder: folder)
    }

    /// Reloads as an operator does. The file is unchanged.
    public func reload(in scenario: Scenario) async throws {
        let arguments = ["reload", "--config", "\(folder)/Caddyfile", "--adapter", "caddyfile", "--force"]
        try await scenario.run(.caddy, arguments)
    }
}
