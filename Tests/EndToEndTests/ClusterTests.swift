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
            let servers = try await cluster.startAll()
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
            let servers = try await cluster.startAll()
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
            _ = try await cluster.startAll()
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

    @Test("A visitor that comes right after the home was killed waits until the client is at another server")
    func waits() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            let servers = try await cluster.startAll()
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let home = try await cluster.home(among: servers)
            await servers[home].kill()
            for (number, place) in cluster.places.enumerated() where number != home {
                try await onThread {
                    let visitor = try TCPSocket(port: cluster.port, address: place.address, timeout: .seconds(20))
                    try visitor.send("ping")
                    let answer = String(decoding: try visitor.receive(exactly: 4), as: UTF8.self)
                    try require(answer == "ping", answer)
                    visitor.close()
                }
            }
        }
    }

    @Test("A rolling restart of all servers costs no visitor anything")
    func rollingRestart() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(in: scenario)
            var servers = try await cluster.startAll()
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let visitors = Task {
                var count = 0
                while !Task.isCancelled {
                    try await expectEcho(through: cluster.front.visitors, of: "visitor \(count)")
                    count += 1
                }
                return count
            }
            for number in cluster.places.indices {
                servers[number].signal(SIGTERM)
                #expect(try await servers[number].exitStatus() == .exited(0))
                servers[number] = try await cluster.start(number)
                try await cluster.expectEcho(at: cluster.places[number])
            }
            visitors.cancel()
            #expect(try await visitors.value >= cluster.places.count)
        }
    }

    @Test("The death of etcd's leader costs nothing but a moment without new ports")
    func leader() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(in: scenario)
            _ = try await cluster.startAll()
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            try await cluster.etcd.kill(cluster.etcd.leader())
            for place in cluster.places { try await cluster.expectEcho(at: place, within: .seconds(2)) }
            let late = try cluster.client(to: service.port, port: FreePorts.next(), options: ["--name", "late"])
            _ = try await late.tunnel(to: service.port, within: .seconds(15))
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
