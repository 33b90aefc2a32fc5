import Foundation
import TestSupport

/// Servers of one cluster as processes, each with a loopback address for public ports, three members of etcd, and HAProxy
/// in TCP mode before the servers' endpoints and before one public port.
struct ClusterScenario: Sendable {
    /// A server's place, which it keeps over restarts.
    struct Place: Sendable {
        let name: String
        /// The address of its public ports.
        let address: String
        let port: UInt16
        let peerPort: UInt16
        let adminPort: UInt16
        let configuration: String
        /// The path of its admin socket.
        let admin: String
    }

    let scenario: Scenario
    let etcd: EtcdCluster
    let places: [Place]
    /// HAProxy's ports before the endpoints and before the public port.
    let front: (endpoint: UInt16, visitors: UInt16)
    /// The public port.
    let port: UInt16

    /// Starts etcd, HAProxy and the servers.
    ///
    /// - Parameter leavingTime: seconds for which a server that was asked to stop still serves everything.
    static func start(_ count: Int = 3, members: Int = 3, leavingTime: Int = 0, in scenario: Scenario) async throws
        -> ClusterScenario
    {
        let etcd = try await EtcdCluster.start(members: members, in: scenario)
        let token = "\(scenario.directory)/cluster-token"
        try scenario.write("the token of the cluster, long enough\n", to: token)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: token)
        let port = try FreePorts.next()
        let urls = etcd.urls.map { "\"\($0)\"" }.joined(separator: ", ")
        let places = try (0..<count).map { number in
            let place = Place(
                name: "server-\(number)",
                address: "127.0.0.\(number + 2)",
                port: try FreePorts.next(),
                peerPort: try FreePorts.next(),
                adminPort: try FreePorts.next(),
                configuration: "\(scenario.directory)/server-\(number).toml",
                admin: "\(scenario.directory)/server-\(number).sock"
            )
            try scenario.write(
                """
                listen = "127.0.0.1:\(place.port)"
                public_address = "\(place.address)"
                token_file = "\(scenario.tokenFile)"
                admin = ["127.0.0.1:\(place.adminPort)", "unix:\(place.admin)"]

                [cluster]
                etcd = [\(urls)]
                peer_listen = "127.0.0.1:\(place.peerPort)"
                token_file = "\(token)"
                leaving_time = "\(leavingTime) s"

                """,
                to: place.configuration
            )
            return place
        }
        let front = (endpoint: try FreePorts.next(), visitors: try FreePorts.next())
        let cluster = ClusterScenario(scenario: scenario, etcd: etcd, places: places, front: front, port: port)
        try await cluster.startFront()
        return cluster
    }

    private func startFront() async throws {
        let path = "\(try scenario.folder("haproxy-cluster"))/cluster.cfg"
        func check(_ place: Place) -> String {
            "check addr 127.0.0.1 port \(place.adminPort) inter 100ms fall 1 rise 1"
        }
        let endpoints = places.map { "    server \($0.name) 127.0.0.1:\($0.port) \(check($0))" }
        let visitors = places.map { "    server \($0.name) \($0.address):\(port) \(check($0))" }
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
                retries 3
                timeout connect 1s
                timeout client 1h
                timeout server 1h
            listen endpoints
                bind 127.0.0.1:\(front.endpoint)
            \(endpoints.joined(separator: "\n"))
            listen visitors
                bind 127.0.0.1:\(front.visitors)
            \(visitors.joined(separator: "\n"))

            """,
            to: path
        )
        let process = try scenario.start("haproxy", Program.haproxy.required(), ["-W", "-db", "-f", path])
        try await waitUntilListening(front.visitors, process)
    }

    /// Starts a server, and waits until it accepts.
    func start(_ number: Int) async throws -> ChildProcess {
        let place = places[number]
        let process = try scenario.culvert(place.name, ["server", "--config", place.configuration])
        _ = try await process.line { $0.hasPrefix("listening ") }
        return process
    }

    /// Starts all servers.
    func startAll() async throws -> [ChildProcess] {
        var servers: [ChildProcess] = []
        for number in places.indices { servers.append(try await start(number)) }
        return servers
    }

    /// Starts a client of any server, through HAProxy.
    func client(
        to service: UInt16,
        at endpoint: UInt16? = nil,
        port: UInt16? = nil,
        options: [String] = []
    ) throws -> CulvertClient {
        try scenario.client(
            "ws://127.0.0.1:\(endpoint ?? front.endpoint)",
            ["\(port ?? self.port):127.0.0.1:\(service)"],
            options: options
        )
    }

    /// Waits until a server serves the public port.
    func expectEcho(at place: Place, within limit: Duration = .seconds(20)) async throws {
        try await eventually("the echo at \(place.name)", within: limit) {
            guard let visitor = try? TCPSocket(port: port, address: place.address, timeout: .seconds(5)) else {
                return false
            }
            defer { visitor.close() }
            guard (try? visitor.send("ping")) != nil else { return false }
            return (try? visitor.receive(exactly: 4)) == Array("ping".utf8)
        }
    }
}
