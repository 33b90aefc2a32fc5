import TestSupport

/// Starts a system in the two namespaces, and waits until visitors can connect.
struct PathTunnel: Sendable {
    /// Where visitors on the server's host find the service.
    struct Entrance: Sendable {
        let address: String
        let port: UInt16
        /// The processes of the system.
        var processes: [ChildProcess] = []
    }

    /// Ports in namespaces that have no other services.
    private static let serverPort: UInt16 = 8_080
    private static let throttlePort: UInt16 = 8_081
    private static let publicPort: UInt16 = 7_000

    let system: PathSystem
    let network: PathNetwork
    /// The rate of each connection over the path; nil without a throttle.
    let throttle: Double?
    /// Further arguments of Culvert's server.
    let serverFlags: [String]

    /// Starts the system for a backend on the client's host.
    func start(before backend: UInt16, in scenario: Scenario) async throws -> Entrance {
        if system.kind == .direct {
            guard throttle != nil else { return Entrance(address: PathNetwork.Host.client.address, port: backend) }
            let proxy = try await startThrottle(to: PathNetwork.Host.client.address, backend)
            return Entrance(address: loopback, port: Self.throttlePort, processes: [proxy])
        }
        let (server, client) = try arguments(backend, scenario)
        var entrance = Entrance(address: loopback, port: Self.publicPort)
        let serverProcess = try network.start("server", system.server, server, on: .server)
        try await network.waitUntilListening(Self.serverPort, serverProcess)
        entrance.processes = [serverProcess]
        if throttle != nil { entrance.processes.append(try await startThrottle(to: loopback, Self.serverPort)) }
        entrance.processes.append(try network.start("client", system.client, client, on: .client))
        return entrance
    }

    private func startThrottle(to address: String, _ port: UInt16) async throws -> ChildProcess {
        let target = ["--target-address", address, "--target-port", "\(port)"]
        let rate = ["--port", "\(Self.throttlePort)", "--megabits", "\(throttle ?? 0)"]
        let process = try network.start("throttle", ["throttle"] + rate + target, on: .server)
        try await network.waitUntilListening(Self.throttlePort, process)
        return process
    }

    /// The arguments of the server and the client.
    private func arguments(_ backend: UInt16, _ scenario: Scenario) throws -> (server: [String], client: [String]) {
        let (host, service) = (PathNetwork.Host.server.address, "127.0.0.1:\(backend)")
        let front = throttle == nil ? Self.serverPort : Self.throttlePort
        switch system.kind {
        case .direct: return ([], [])
        case .culvert:
            let token = ["--token-file", scenario.tokenFile]
            return (
                ["server", "--listen", "0.0.0.0:\(Self.serverPort)"] + token + serverFlags,
                ["client", "ws://\(host):\(front)"] + token + ["-R", "\(Self.publicPort):\(service)"] + system.flags
            )
        case .wstunnel:
            return (
                ["server", "ws://0.0.0.0:\(Self.serverPort)"],
                ["client", "-R", "tcp://127.0.0.1:\(Self.publicPort):\(service)", "ws://\(host):\(front)"]
            )
        case .chisel:
            return (
                ["server", "--port", "\(Self.serverPort)", "--reverse"],
                ["client", "http://\(host):\(front)", "R:127.0.0.1:\(Self.publicPort):\(service)"]
            )
        case .frp: return try frp(backend, host, front, scenario)
        }
    }

    private func frp(_ backend: UInt16, _ host: String, _ front: UInt16, _ scenario: Scenario) throws -> (
        server: [String], client: [String]
    ) {
        let (server, client) = ("\(scenario.directory)/frps.toml", "\(scenario.directory)/frpc.toml")
        try scenario.write(
            """
            bindAddr = "0.0.0.0"
            bindPort = \(Self.serverPort)
            proxyBindAddr = "127.0.0.1"

            """,
            to: server
        )
        try scenario.write(
            """
            serverAddr = "\(host)"
            serverPort = \(front)
            loginFailExit = false
            transport.protocol = "websocket"
            transport.tls.enable = false
            [[proxies]]
            name = "bench"
            type = "tcp"
            localIP = "127.0.0.1"
            localPort = \(backend)
            remotePort = \(Self.publicPort)

            """,
            to: client
        )
        return (["-c", server], ["-c", client])
    }
}
