import Foundation

/// A running HAProxy on loopback, a master and its worker.
public struct HAProxy: Front {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    /// Its certificate, and the CA for it.
    public let certificate: Certificate?

    /// The access log's lines of WebSocket connections.
    public var upgrades: [String] {
        process.output.lines.filter { $0.contains(" 101 ") && $0.contains("\"GET ") && $0.contains("/tunnel ") }
    }

    /// Starts the front of Fixtures/haproxy/culvert.cfg.
    ///
    /// - Parameters:
    ///   - upstream: the server's port.
    ///   - speaksPROXY: whether it sends the client's address in a PROXY header, not in X-Forwarded-For.
    public static func front(
        of upstream: UInt16,
        in scenario: Scenario,
        speaksPROXY: Bool = false
    ) async throws -> HAProxy {
        let port = try FreePorts.next()
        let folder = try scenario.folder("haproxy-\(port)")
        let certificate = try await Certificate.make(in: scenario).installed(in: folder, of: scenario)
        let plain = "\n    server culvert 127.0.0.1:8080\n"
        let proxy = "\n    # server culvert 127.0.0.1:8080 send-proxy-v2\n"
        let forwarded = "\n    http-request set-header X-Forwarded-For %[src]\n"
        let site = try Fixture.text(
            "haproxy/culvert.cfg",
            replacing: [
                ("bind :::443 v4v6 ", "bind 127.0.0.1:\(port) "),
                ("/etc/haproxy/tunnel.example.com.pem", certificate.certificate),
                (plain, speaksPROXY ? "\n" : "\n    server culvert 127.0.0.1:\(upstream)\n"),
                (proxy, speaksPROXY ? "\n    server culvert 127.0.0.1:\(upstream) send-proxy-v2\n" : "\n"),
                (forwarded, speaksPROXY ? "\n" : forwarded),
            ]
        )
        try scenario.write(site, to: "\(folder)/culvert.cfg")
        try scenario.write(
            "global\n    log stdout format raw local0\n    maxconn 500\n",
            to: "\(folder)/global.cfg"
        )
        let process = try scenario.start(
            "haproxy",
            Program.haproxy.required(),
            ["-W", "-db", "-f", "\(folder)/global.cfg", "-f", "\(folder)/culvert.cfg"]
        )
        try await waitUntilListening(port, process)
        return HAProxy(process: process, port: port, certificate: certificate)
    }

    /// Starts an HTTP service that requires a PROXY header, and answers with the addresses and the authority in it.
    ///
    /// - Returns: its port.
    public static func headerReader(in scenario: Scenario) async throws -> UInt16 {
        let port = try FreePorts.next()
        let path = "\(try scenario.folder("haproxy-\(port)"))/reader.cfg"
        let body = "%[src]:%[src_port] %[dst]:%[dst_port] [%[fc_pp_authority]]"
        try scenario.write(
            """
            global
                maxconn 100
            defaults
                mode http
                timeout client 30s
            frontend reader
                bind 127.0.0.1:\(port) accept-proxy
                http-request return status 200 content-type text/plain lf-string "\(body)"

            """,
            to: path
        )
        let process = try scenario.start("haproxy", Program.haproxy.required(), ["-W", "-db", "-f", path])
        try await waitUntilListening(port, process)
        return port
    }

    /// Reloads as `systemctl reload haproxy` does.
    public func reload(in _: Scenario) {
        process.signal(SIGUSR2)
    }
}
