import Mux
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Clients that keep sessions at several servers of a cluster.
@Suite("Sessions at two servers of a cluster", .serialized)
struct ClusterServersTests {
    /// A client in its run.
    private struct Running {
        let log: CollectedLog
        let urls: Mailbox<String>
        let tunnels: TunnelSet
        let stop: @Sendable () async -> Void
    }

    /// Runs a client with a session at two servers, and an echo behind its port.
    private func withClient(
        of cluster: RunningCluster,
        at endpoints: [UInt16],
        tunnels: @escaping @Sendable (_ port: UInt16, _ service: UInt16) throws -> [TunnelSpec] = {
            [TunnelSpec(port: $0, to: .address(host: "127.0.0.1", port: $1))]
        },
        _ body: (Running, UInt16) async throws -> Void
    ) async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let port = try FreePorts.next()
        let (log, urls) = (CollectedLog(), Mailbox<String>())
        let client = try cluster.client(
            more: endpoints.map { "ws://127.0.0.1:\($0)" },
            port: port,
            to: service.port,
            tunnels: try tunnels(port, service.port),
            servers: 2,
            pins: [RunningServer.serverKey.publicKey],
            log: log,
            urls
        )
        let task = Task { try await client.run() }
        let running = Running(log: log, urls: urls, tunnels: client.tunnels) {
            task.cancel()
            _ = try? await task.value
        }
        do {
            _ = try await urls.next("the tunnel is public")
            try await body(running, port)
        } catch {
            await running.stop()
            throw ScenarioFailure(description: "\(error)\nclient:\n\(log.text)")
        }
        await running.stop()
    }

    /// The servers that have a session with a public port, by number.
    private func homes(_ cluster: RunningCluster) -> [Int] {
        cluster.members.indices.filter { cluster.members[$0].log.count("port is public") > 0 }
    }

    private func waitForHomes(_ count: Int, _ cluster: RunningCluster) async throws -> [Int] {
        try await eventually("\(count) servers have the port") {
            let homes = homes(cluster)
            return homes.count == count ? homes : nil
        }
    }

    @Test("The sessions are at different servers, and the tunnel is reported once")
    func different() async throws {
        try await RunningCluster.with { cluster in
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { client, port in
                _ = try await waitForHomes(2, cluster)
                for member in cluster.members { try await cluster.expectEcho(at: member, port) }
                try require(client.log.count("session opened") == 2, "the sessions")
                try require(client.urls.all.isEmpty, "the tunnel is reported again: \(client.urls.all)")
            }
        }
    }

    @Test("When the server of one session stops, the port answers all the time, and another server takes its place")
    func serverStops() async throws {
        try await RunningCluster.with { cluster in
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { client, port in
                let homes = try await waitForHomes(2, cluster)
                let other = try #require(cluster.members.indices.first { !homes.contains($0) })
                try await cluster.expectEcho(at: cluster.members[other], port)
                let stopping = Task { await cluster.members[homes[0]].stop() }
                let lost = Mailbox<String>()
                for number in 0..<100 {
                    do { try await echo(at: cluster.members[other], port) } catch { lost.put("\(number): \(error)") }
                }
                #expect(lost.all == [])
                await stopping.value
                try await eventually("another server has the port", found: { client.log.text }) {
                    cluster.members[other].log.count("port is public") > 0
                }
                for number in [homes[1], other] { try await cluster.expectEcho(at: cluster.members[number], port) }
                try require(client.urls.all.isEmpty, "the tunnel is reported again: \(client.urls.all)")
            }
        }
    }

    /// Expects an echo of the first connection.
    private func echo(at member: RunningCluster.Member, _ port: UInt16) async throws {
        try await onThread {
            let visitor = try TCPSocket(port: port, address: member.address)
            try visitor.send("hello")
            try require(try visitor.receive(exactly: 5) == Array("hello".utf8), "no echo")
            visitor.close()
        }
    }

    @Test("If only one server answers, the client works with one session, and reports it once")
    func one() async throws {
        try await RunningCluster.with(2) { cluster in
            let relay = try FaultRelay(to: cluster.members[0].port)
            try await withClient(of: cluster, at: [relay.port]) { client, port in
                try await eventually("three tries", within: .seconds(10), found: { client.log.text }) {
                    client.log.count("the server that answered has another session of this client") == 3
                }
                try await cluster.expectEcho(at: cluster.members[0], port)
                try require(client.log.count("notice no further server answers") == 1, "the line: \(client.log.text)")
                try require(client.log.count("warning") == 0, "warnings: \(client.log.text)")
                try require(client.log.count("session opened") == 1, "one session")
                // The address leads to another server from now on.
                relay.setTarget(cluster.members[1].port)
                try await eventually("the second session", within: .seconds(10), found: { client.log.text }) {
                    client.log.count("session opened") == 2
                }
                _ = try await waitForHomes(2, cluster)
                try require(client.log.count("session lost") + client.log.count("carrier lost") == 0, "a loss")
            }
        }
    }

    @Test("A server outside a cluster is one server too")
    func alone() async throws {
        try await RunningServer.with { server in
            let service = try TCPService.echo()
            defer { service.stop() }
            var configuration = ClientConfiguration(
                endpoints: [try EndpointURL("ws://127.0.0.1:\(server.port)")],
                tunnels: [TunnelSpec(port: try FreePorts.next(), to: .address(host: "127.0.0.1", port: service.port))],
                token: Identity.alice.token,
                instance: ClientInstance.identity(name: "alone")
            )
            configuration.servers = 2
            let log = CollectedLog()
            let client = Client(configuration, logger: log.logger)
            let running = Task { try await client.run() }
            try await eventually("a second try", within: .seconds(10), found: { log.text }) {
                log.count("the server that answered has another session of this client") == 2
            }
            try await eventually("the server has one session") { server.sessions == 1 }
            running.cancel()
            _ = try? await running.value
        }
    }

    @Test("A tunnel that no group can share is in the first session alone, and the log says so")
    func unshared() async throws {
        try await RunningCluster.with(2) { cluster in
            let udp = try FreePorts.next()
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { port, service in
                var flows = TunnelSpec(port: udp, to: .address(host: "127.0.0.1", port: service))
                flows.transport = .udp
                return [flows, TunnelSpec(port: port, to: .address(host: "127.0.0.1", port: service))]
            } _: { client, port in
                _ = try await client.urls.next("the other tunnel is public")
                _ = try await waitForHomes(2, cluster)
                for member in cluster.members { try await cluster.expectEcho(at: member, port) }
                try require(client.log.count("tunnels at one server only") == 1, client.log.text)
                let counts = cluster.members.map { $0.log.count("UDP port \(udp)") }
                try require(counts.contains(0), "both servers have the port: \(counts)")
                try require(client.urls.all.isEmpty, "\(client.urls.all)")
            }
        }
    }

    @Test("If the server of the first session stops and no other is left, the second session has its tunnels")
    func firstServerStops() async throws {
        try await RunningCluster.with(2) { cluster in
            let udp = try FreePorts.next()
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { port, service in
                var flows = TunnelSpec(port: udp, to: .address(host: "127.0.0.1", port: service))
                flows.transport = .udp
                return [flows, TunnelSpec(port: port, to: .address(host: "127.0.0.1", port: service))]
            } _: { client, port in
                _ = try await client.urls.next("the other tunnel is public")
                _ = try await waitForHomes(2, cluster)
                let home = try await eventually("a home") {
                    cluster.members.first { $0.log.count("UDP port \(udp)") > 0 }
                }
                let other = try #require(cluster.members.first { $0.address != home.address })
                await home.stop()
                try await eventually("the tunnel is at the other server", found: { other.log.text }) {
                    other.log.count("UDP port \(udp)") > 0
                }
                let url = try await client.urls.next("the tunnel is public again")
                try require(url.hasSuffix("\(udp)"), url)
                try await cluster.expectEcho(at: other, port)
            }
        }
    }

    @Test("A tunnel that is added is public in both sessions, and one that is removed in none")
    func changes() async throws {
        try await RunningCluster.with { cluster in
            let service = try TCPService.echo()
            defer { service.stop() }
            let added = TunnelSpec(port: try FreePorts.next(), to: .address(host: "127.0.0.1", port: service.port))
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { client, port in
                _ = try await waitForHomes(2, cluster)
                client.tunnels.add(added)
                try require(try await client.urls.next("the tunnel").hasSuffix(":\(added.port)"), "another tunnel")
                for member in cluster.members { try await cluster.expectEcho(at: member, added.port) }
                try await eventually("both servers have both ports") {
                    cluster.members.reduce(0) { $0 + $1.log.count("port is public") } == 4
                }
                client.tunnels.remove(added)
                for member in cluster.members {
                    try await eventually("\(member.address) has closed the port") {
                        (try? TCPSocket(port: added.port, address: member.address))?.close() == nil
                    }
                    try await cluster.expectEcho(at: member, port)
                }
                try require(client.urls.all.isEmpty, "\(client.urls.all)")
            }
        }
    }

    @Test("A restarted client takes the ports of both its sessions over")
    func restart() async throws {
        try await RunningCluster.with { cluster in
            let relays = try cluster.members.prefix(2).map { try FaultRelay(to: $0.port) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let port = try FreePorts.next()
            let (lostLog, urls) = (CollectedLog(), Mailbox<String>())
            let lost = try cluster.client(
                more: relays.map { "ws://127.0.0.1:\($0.port)" },
                port: port,
                to: service.port,
                servers: 2,
                log: lostLog,
                urls
            )
            let losing = Task { try await lost.run() }
            _ = try await urls.next("the tunnel is public")
            _ = try await waitForHomes(2, cluster)
            for relay in relays { relay.setBlackhole(.both) }
            let log = CollectedLog()
            let client = try cluster.client(
                more: cluster.members.map { "ws://127.0.0.1:\($0.port)" },
                port: port,
                to: service.port,
                servers: 2,
                log: log,
                urls
            )
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public again")
            try await eventually("both sessions have the port", found: { log.text }) {
                cluster.members.reduce(0) { $0 + $1.log.count("port is public") } >= 4
            }
            for member in cluster.members { try await cluster.expectEcho(at: member, port) }
            for task in [losing, running] {
                task.cancel()
                _ = try? await task.value
            }
        }
    }

    @Test("A server that refuses the second session does not end the client")
    func refusedElsewhere() async throws {
        let number = Atomic(0)
        try await RunningCluster.with(2) { configuration in
            if number.add(1, ordering: .relaxed).newValue == 2 { configuration.clients.removeFirst() }
        } _: { cluster in
            try await withClient(of: cluster, at: cluster.members.map(\.port)) { client, port in
                try await eventually("the refusal is reported") {
                    client.log.count("no session with one of several servers; the others go on") == 1
                }
                try await cluster.expectEcho(at: cluster.members[0], port)
            }
        }
    }

    @Test("A wrong token ends a client of two servers as one of one")
    func wrongToken() async throws {
        try await RunningCluster.with(2) { cluster in
            let client = try cluster.client(
                more: cluster.members.map { "ws://127.0.0.1:\($0.port)" },
                as: .mallory,
                port: 1,
                to: 1,
                servers: 2,
                Mailbox()
            )
            await #expect(throws: ClientError.self) { try await client.run() }
        }
    }
}
