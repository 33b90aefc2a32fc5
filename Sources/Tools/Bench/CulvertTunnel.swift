import TestSupport

/// Culvert with default limits and logs.
enum CulvertTunnel {
    /// The client dials the server by `ws://`.
    static func plain(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let server = try await scenario.server()
        return try await publish(backend, server, server.url, [], in: scenario)
    }

    /// The client dials the server by `ws://`, and the session is sealed.
    static func sealed(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let server = try await scenario.server()
        return try await publish(backend, server, server.url, ["--encryption", "required"], in: scenario)
    }

    /// The client has ports that lead to the server's side, for TCP and for UDP.
    static func local(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let (port, destination) = (try FreePorts.next(), "127.0.0.1:\(backend)")
        let file = "\(scenario.directory)/server.toml"
        // `-R` has no limit on visitors in a second.
        try scenario.write("[limits]\nforwards_per_second = 100000\n", to: file)
        let server = try await scenario.server(options: ["--allow-connect", destination, "--config", file])
        let forwards = ["-L", "\(port):\(destination)", "-L", "\(port):\(destination)/udp"]
        let client = try scenario.client(server.url, [], options: forwards)
        for start in ["forward 127.0.0.1:", "forward udp://"] {
            _ = try await client.process.line { $0.hasPrefix(start) }
        }
        _ = try await client.process.logLine { $0.contains("session opened") }
        return RunningSystem(port: port, tunnel: [server.process, client.process])
    }

    /// The client dials the server by `wss://`.
    static func secure(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let certificate = try await Certificate.make(in: scenario)
        let server = try await scenario.server(
            options: ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
        )
        let url = "wss://localhost:\(server.port)"
        return try await publish(backend, server, url, ["--ca", certificate.authority], in: scenario)
    }

    /// The client dials through a proxy and a front with TLS.
    static func proxied(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let server = try await scenario.server()
        let front = try await Nginx.front(of: server.port, in: scenario)
        let proxy = try await Squid.start(in: scenario)
        let options = ["--ca", front.authority, "--proxy", proxy.url]
        var system = try await publish(backend, server, front.url, options, in: scenario)
        system.hops = [proxy.process, front.process]
        return system
    }

    private static func publish(
        _ backend: UInt16,
        _ server: CulvertServer,
        _ url: String,
        _ options: [String],
        in scenario: Scenario
    ) async throws -> RunningSystem {
        let client = try scenario.client(url, ["0:127.0.0.1:\(backend)"], options: options)
        return RunningSystem(
            port: try await client.tunnel(to: backend),
            tunnel: [server.process, client.process]
        )
    }
}
