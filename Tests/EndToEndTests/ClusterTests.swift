import Foundation
import TestSupport
import Testing

/// Three servers, three members of etcd, and HAProxy before all.
@Suite("A cluster of servers", .serialized)
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

    @Test(
        "With sessions at two servers, kill -9 of one costs visitors at the other servers nothing, and a third takes its place"
    )
    func killedOneOfTwo() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.clientOfTwoServers(to: service.port)
            _ = try await client.tunnel(to: service.port)
            let homes = try await cluster.homes(2, among: servers)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let others = cluster.places.indices.filter { $0 != homes[0] }.map { cluster.places[$0] }
            let (served, lost) = (Mailbox<Int>(), Mailbox<String>())
            try await withThrowingTaskGroup(of: Void.self) { visitors in
                for number in 0..<60 {
                    if number == 20 {
                        // A visitor that is there already has its stream at one of the two.
                        try await eventually("the first visitors are served") {
                            served.all.count + lost.all.count == 20
                        }
                        servers[homes[0]].signal(SIGKILL)
                    }
                    let (place, port) = (others[number % others.count], cluster.port)
                    visitors.addTask {
                        do {
                            try await onThread {
                                let visitor = try TCPSocket(port: port, address: place.address, timeout: .seconds(10))
                                defer { visitor.close() }
                                try visitor.send("ping")
                                _ = try visitor.receive(exactly: 4)
                            }
                            served.put(number)
                        } catch {
                            lost.put("\(number) at \(place.name): \(error)")
                        }
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
                try await visitors.waitForAll()
            }
            #expect(lost.all == [])
            // The client's second session is at the third server now.
            let third = servers[try #require(cluster.places.indices.first { !homes.contains($0) })]
            try await eventually("the third server has the port", found: { "\(client.process)" }) {
                third.errors.lines.contains { $0.hasSubstring("port is public") }
            }
            #expect(client.process.output.lines.count { $0.hasPrefix("tunnel ") } == 1, "\(client.process)")
        }
    }

    @Test("A client of two servers shows both in its status, renews both, and ends in order at SIGTERM")
    func statusAndEnd() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(2, members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let socket = "unix:\(scenario.directory)/two.sock"
            let client = try cluster.clientOfTwoServers(to: service.port, options: ["--admin", socket])
            _ = try await client.tunnel(to: service.port)
            _ = try await cluster.homes(2, among: servers)
            let page = try scenario.culvert("status", ["status", "--admin", socket])
            _ = try await page.exitStatus()
            #expect(page.output.text.contains("now: 2 sessions, 0 visitors"), "\(page)")
            let renewal = try scenario.culvert("renew", ["renew", "--admin", socket])
            #expect(try await renewal.exitStatus() == .exited(0), "\(renewal)")
            #expect(renewal.output.text.contains("another WebSocket has taken over"), "\(renewal)")
            try await eventually("both sessions have another WebSocket", found: { "\(client.process)" }) {
                client.process.errors.lines.count { $0.hasSubstring("session resumed") } == 2
            }
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            client.process.signal(SIGTERM)
            let end = try await client.process.exitStatus()
            #expect(end == .exited(0), "\(client.process)")
            for server in servers {
                _ = try await server.logLine { $0.hasSubstring("session ended") }
            }
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
                #expect(try await onThread { try visitor.drain() }.ending == .reset)
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

    @Test(
        "A rolling restart of all servers costs no visitor anything",
        .enabled(if: TestRun.isHeavy, "visitors meet the moment in which a listener is bound anew")
    )
    func rollingRestart() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, leavingTime: 2, in: scenario)
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

    @Test("A client leaves a server that stops at once, while a visitor's stream there goes on")
    func leavesAtOnce() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(2, members: 1, in: scenario)
            let servers = try await cluster.startAll()
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let home = try await cluster.home(among: servers)
            let visitors = try cluster.places.map { try TCPSocket(port: cluster.port, address: $0.address) }
            func echo(_ visitor: TCPSocket) async throws {
                try await onThread {
                    try visitor.send("ping")
                    try require(try visitor.receive(exactly: 4) == Array("ping".utf8), "no echo")
                }
            }
            for visitor in visitors { try await echo(visitor) }
            servers[home].signal(SIGTERM)
            // The drain takes up to 30 s.
            _ = try await client.tunnel(to: service.port, skip: 1, within: .seconds(15))
            try await cluster.expectEcho(at: cluster.places[1 - home], within: .seconds(5))
            for visitor in visitors { try await echo(visitor) }
            for visitor in visitors { visitor.close() }
            #expect(try await servers[home].exitStatus() == .exited(0))
            try await cluster.expectEcho(at: cluster.places[1 - home])
            #expect(client.process.errors.lines.count { $0.hasSubstring("session lost") } == 0, "\(client.process)")
        }
    }

    @Test("HAProxy takes the sample of its configuration before a cluster", .needs(.haproxy))
    func sample() async throws {
        try await Scenario.run { scenario in
            let path = try Fixture.url("haproxy/cluster.cfg").path
            try await scenario.run(.haproxy, ["-c", "-f", path])
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
    /// Starts a client that keeps sessions at two servers, through HAProxy.
    func clientOfTwoServers(to service: UInt16, options: [String] = []) throws -> CulvertClient {
        let file = "\(scenario.directory)/two-servers.toml"
        try scenario.write("servers = 2\n", to: file)
        return try client(to: service, options: ["--config", file] + options)
    }

    /// The servers that have sessions with the client's port, by their logs.
    func homes(_ count: Int, among servers: [ChildProcess]) async throws -> [Int] {
        try await eventually("\(count) servers have a session") {
            let homes = servers.indices.filter { number in
                servers[number].errors.lines.contains { $0.hasSubstring("port is public") }
            }
            return homes.count == count ? homes : nil
        }
    }

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
