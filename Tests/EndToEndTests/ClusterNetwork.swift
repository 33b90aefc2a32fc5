import Foundation
import TestSupport

/// A cluster on machines of its own: three servers that speak TLS with each other, three members of etcd, and one machine with
/// the clients, their services, the visitors, and HAProxy before all servers.
struct ClusterNetwork: Sendable {
    /// A server's machine and files.
    struct Place: Sendable {
        let name: String
        let host: HostNetwork.Host
        let configuration: String
        let admin: String
    }

    let scenario: Scenario
    let network: HostNetwork
    let etcd: EtcdCluster
    let places: [Place]
    /// The machine of clients and visitors.
    let outside: HostNetwork.Host

    /// The ports of the servers' endpoints, of their health, and of HAProxy.
    private static let (endpoint, health, front): (UInt16, UInt16, UInt16) = (8080, 9090, 8000)
    /// The port of the servers for visitors of host names.
    static let http: UInt16 = 8081

    static func start(in scenario: Scenario) async throws -> ClusterNetwork {
        let network = try await HostNetwork.start(7, in: scenario)
        let etcd = try await EtcdCluster.start(on: Array(network.hosts[3..<6]), in: scenario)
        let token = "\(scenario.directory)/cluster-token"
        try scenario.write("the token of the cluster, long enough\n", to: token)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: token)
        let authority = try await IssuedCertificate.make(
            .authority("Culvert test CA"),
            in: scenario,
            named: "authority"
        )
        var places: [Place] = []
        for host in network.hosts[..<3] {
            let name = "server-\(host.index)"
            let own = try await IssuedCertificate.make(
                .leaf("IP:\(host.address)"),
                by: authority,
                in: scenario,
                named: "certificate-\(host.index)"
            )
            let place = Place(
                name: name,
                host: host,
                configuration: "\(scenario.directory)/\(name).toml",
                admin: "\(scenario.directory)/\(name).sock"
            )
            try scenario.write(
                """
                listen = "\(host.address):\(endpoint)"
                token_file = "\(scenario.tokenFile)"
                admin = ["\(host.address):\(health)", "unix:\(place.admin)"]
                http_listen = "\(host.address):\(http)"
                allow_names = ["*.example.test"]

                [cluster]
                etcd = [\(etcd.urls.map { "\"\($0)\"" }.joined(separator: ", "))]
                peer_listen = "\(host.address):7443"
                ca = "\(authority.certificate)"
                certificate = "\(own.certificate)"
                key = "\(own.key)"
                token_file = "\(token)"

                """,
                to: place.configuration
            )
            places.append(place)
        }
        return ClusterNetwork(
            scenario: scenario,
            network: network,
            etcd: etcd,
            places: places,
            outside: network.hosts[6]
        )
    }

    // MARK: Processes

    /// Starts a server, and waits until it accepts.
    func start(_ number: Int) async throws -> ChildProcess {
        let place = places[number]
        let process = try scenario.culvert(place.name, ["server", "--config", place.configuration], on: place.host)
        _ = try await process.line { $0.hasPrefix("listening ") }
        return process
    }

    /// Starts all servers.
    func startAll() async throws -> [ChildProcess] {
        var servers: [ChildProcess] = []
        for number in places.indices { servers.append(try await start(number)) }
        return servers
    }

    /// Starts HAProxy before the servers' endpoints and some public ports, each of which it takes on the port above.
    func startFront(_ ports: [UInt16]) async throws {
        let path = "\(try scenario.folder("haproxy"))/cluster.cfg"
        let pools = [(Self.front, Self.endpoint)] + ports.map { (Self.visitors($0), $0) }
        let lists = pools.map { front, port in
            let servers = places.map {
                "    server \($0.name) \($0.host.address):\(port) check port \(Self.health) inter 200ms fall 1 rise 1"
            }
            return "listen pool-\(port)\n    bind 127.0.0.1:\(front)\n" + servers.joined(separator: "\n")
        }
        try scenario.write(
            """
            global
                maxconn 1000
            defaults
                mode tcp
                option httpchk
                http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
                balance roundrobin
                option redispatch 1
                option srvtcpka
                srvtcpka-idle 2s
                srvtcpka-intvl 2s
                srvtcpka-cnt 3
                retries 3
                timeout check 500ms
                timeout connect 1s
                timeout client 1h
                timeout server 1h
            \(lists.joined(separator: "\n"))

            """,
            to: path
        )
        let process = try scenario.start(
            "haproxy",
            try outside.command([Program.haproxy.required(), "-W", "-db", "-f", path])
        )
        try await eventually("HAProxy listens", found: { process.description }) {
            (try? outside.connect(Self.front)) != nil
        }
    }

    /// HAProxy's port before a public port.
    static func visitors(_ port: UInt16) -> UInt16 { port + 1 }

    /// Starts an echo service on the clients' machine.
    func echo() async throws -> TCPService { try await outside.run { try TCPService.echo() } }

    /// Starts a client of any server, through HAProxy, at one server, or through a relay on its own machine.
    ///
    /// - Parameter remotes: further values of `-R`.
    func client(
        _ name: String,
        at place: Place? = nil,
        through relay: FaultRelay? = nil,
        port: UInt16,
        to service: UInt16,
        remotes: [String] = [],
        servers: Int = 1
    ) throws -> CulvertClient {
        let file = "\(scenario.directory)/\(name).toml"
        try scenario.write("servers = \(servers)\n", to: file)
        let url =
            place.map { "ws://\($0.host.address):\(Self.endpoint)" } ?? "ws://127.0.0.1:\(relay?.port ?? Self.front)"
        let tunnels = ["\(port):127.0.0.1:\(service)"] + remotes
        return CulvertClient(
            process: try scenario.culvert(
                name,
                [
                    "client", url, "--token-file", scenario.tokenFile, "--name", name, "--config", file,
                ] + tunnels.flatMap { ["-R", $0] },
                on: outside
            )
        )
    }

    // MARK: Visitors

    /// Connects a visitor to a server's public port, or to HAProxy's.
    func visitor(_ port: UInt16, at place: Place? = nil, within limit: Duration = .seconds(10)) async throws
        -> TCPSocket
    {
        let (address, port) = (place?.host.address ?? "127.0.0.1", place == nil ? Self.visitors(port) : port)
        return try await outside.run { try TCPSocket(port: port, address: address, timeout: limit) }
    }

    /// Whether a server's public port echoes now.
    func echoes(_ port: UInt16, at place: Place? = nil, within limit: Duration = .seconds(10)) async -> Bool {
        guard let visitor = try? await visitor(port, at: place, within: limit) else { return false }
        defer { visitor.close() }
        return await visitor.echoes()
    }

    /// Waits until a server's public port echoes.
    func expectEcho(_ port: UInt16, at place: Place? = nil, within limit: Duration = .seconds(20)) async throws {
        let deadline = ContinuousClock.now + limit
        while await !echoes(port, at: place) {
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure(description: "no echo at \(place?.name ?? "HAProxy") within \(limit)")
            }
        }
    }

    /// A relay on the clients' machine to HAProxy's port before the endpoints.
    func relay() async throws -> FaultRelay { try await outside.run { try FaultRelay(to: Self.front) } }

    /// The number of claims of a port in etcd, over all sessions.
    func claims(of port: UInt16, from member: Int = 0) throws -> Int {
        try claims(from: "ports/tcp:\(port)/", to: "ports/tcp:\(port)0", member: member)
    }

    /// The number of all claims of ports and host names in etcd.
    func claims(from member: Int = 0) throws -> Int {
        try claims(from: "ports/", to: "ports0", member: member) + claims(from: "names/", to: "names0", member: member)
    }

    private func claims(from first: String, to end: String, member: Int) throws -> Int {
        struct Answer: Decodable { let count: String? }
        func encoded(_ text: String) -> String { Data("culvert/\(text)".utf8).base64EncodedString() }
        let (first, end) = (encoded(first), encoded(end))
        let answer = try etcd.post(
            "/v3/kv/range",
            #"{"key":"\#(first)","range_end":"\#(end)","count_only":true}"#,
            to: member
        )
        return Int(try JSONDecoder().decode(Answer.self, from: Data(answer.utf8)).count ?? "0") ?? 0
    }
}

extension TCPSocket {
    /// Whether some bytes come back.
    func echoes() async -> Bool {
        let answer = try? await onThread {
            try self.send("ping")
            return try self.receive(exactly: 4)
        }
        return answer == Array("ping".utf8)
    }
}
