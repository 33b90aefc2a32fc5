import Foundation
import TestSupport
import Testing

/// Three servers, three members of etcd, and HAProxy before all.
@Suite("A cluster of servers")
struct ClusterTests {
    @Test("A port that a client has at one server is served by all, and also after that server was killed")
    func killed() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            // The client begins at the first server, and reaches another one through HAProxy.
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let home = try await cluster.home(among: servers)
            await servers[home].kill()
            _ = try await client.tunnel(to: service.port, skip: 1, within: .seconds(5))
            for (number, place) in cluster.places.enumerated() where number != home {
                try await cluster.expectEcho(at: place, within: .seconds(5))
            }
            try await expectEcho(through: cluster.front.visitors, within: .seconds(5))
        }
    }

    @Test("A server that crashes resets the visitors whose streams it has or relays, and leaves none hanging")
    func reset() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let visitors = try cluster.places.map {
                try TCPSocket(port: cluster.port, address: $0.address, timeout: .seconds(20))
            }
            for visitor in visitors {
                try await onThread {
                    try visitor.send("x")
                    _ = try visitor.receive(exactly: 1)
                }
            }
            let home = try await cluster.home(among: servers)
            await servers[home].kill()
            for visitor in visitors {
                _ = try await onThread { try visitor.drain() }
            }
        }
    }

    @Test("While etcd is gone, sessions, streams and known ports continue, and new ports come once it is back")
    func outage() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            try await cluster.etcd.kill(0)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let other = try FreePorts.next()
            let late = try cluster.client(to: service.port, port: other, options: ["--name", "late"])
            _ = try await late.process.logLine { $0.hasSubstring("the cluster's store does not answer") }
            try await cluster.etcd.restart(0)
            _ = try await late.tunnel(to: service.port, within: .seconds(40))
            for place in cluster.places { try await cluster.expectEcho(at: place) }
        }
    }
}

extension ClusterScenario {
    /// The server that has a client's session, by its log.
    func home(among servers: [ChildProcess]) async throws -> Int {
        try await eventually("a server has the session") {
            for (number, server) in servers.enumerated()
            where server.errors.lines.contains(where: { $0.hasSubstring("port is public") }) {
                return number
            }
            return nil
        }
    }
}

extension String {
    fileprivate func hasSubstring(_ text: String) -> Bool { range(of: text) != nil }
}
