import Foundation
import TestSupport
import Testing

/// Machines of a cluster whose paths are cut, with TLS between the servers.
@Suite(
    "A cluster whose network fails",
    .serialized,
    .enabled(if: TestRun.isHeavy && HostNetwork.notReadyReason == nil, "leases end, and namespaces need root")
)
struct ClusterPartitionTests {
    /// The packets that are lost between two machines.
    enum Direction: String, CaseIterable, Sendable {
        case both, there, back

        func cut(_ host: HostNetwork.Host, from others: [HostNetwork.Host], in network: HostNetwork) async throws {
            for other in others {
                if self != .back { try await network.cut(from: host, to: other) }
                if self != .there { try await network.cut(from: other, to: host) }
            }
        }
    }

    private static let port: UInt16 = 16_022

    @Test(
        "A server that is cut off from etcd keeps its sessions and ports after its lease has ended, and then has its claims back",
        arguments: Direction.allCases
    )
    func store(direction: Direction) async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            _ = try await cluster.startAll()
            let service = try await cluster.echo()
            defer { service.stop() }
            let home = cluster.places[0]
            let client = try cluster.client("client", at: home, port: Self.port, to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(Self.port, at: place) }
            try await direction.cut(home.host, from: Array(cluster.network.hosts[3..<6]), in: cluster.network)
            try await eventually("the lease has ended", within: .seconds(30)) {
                try cluster.claims(of: Self.port) == 0
            }
            for place in cluster.places {
                #expect(await cluster.echoes(Self.port, at: place), "\(place.name) with its link alive")
            }
            try await cluster.network.heal()
            let healed = ContinuousClock.now
            try await eventually("the claim is back", within: .seconds(10)) { try cluster.claims(of: Self.port) == 1 }
            print("cut from etcd, \(direction): the claim is back after \(ContinuousClock.now - healed)")
            for place in cluster.places { #expect(await cluster.echoes(Self.port, at: place), "\(place.name)") }
            #expect(client.process.output.lines.count { $0.hasPrefix("tunnel ") } == 1, "\(client.process)")
        }
    }

    @Test(
        "Between two servers that do not reach each other visitors are refused and streams end, and all others see nothing",
        arguments: Direction.allCases
    )
    func peers(direction: Direction) async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            _ = try await cluster.startAll()
            let service = try await cluster.echo()
            defer { service.stop() }
            let (home, entry, third) = (cluster.places[0], cluster.places[1], cluster.places[2])
            let client = try cluster.client("client", at: home, port: Self.port, to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(Self.port, at: place) }
            let limit = Duration.seconds(60)
            let open = try await cluster.visitor(Self.port, at: entry, within: limit)
            let untouched = try await cluster.visitor(Self.port, at: third, within: limit)
            #expect(await open.echoes())
            #expect(await untouched.echoes())
            try await direction.cut(entry.host, from: [home.host], in: cluster.network)
            let cut = ContinuousClock.now
            let newcomer = try await cluster.visitor(Self.port, at: entry, within: limit)
            let ending = try await onThread {
                try newcomer.send("ping")
                return try newcomer.drain()
            }
            #expect(ending.bytes == [] && ending.ending == .reset)
            print("cut from a peer, \(direction): a visitor is reset after \(ContinuousClock.now - cut)")
            #expect(ContinuousClock.now - cut < .seconds(10))
            #expect(try await onThread { try open.drain() }.ending == .reset)
            print("cut from a peer, \(direction): a stream is reset after \(ContinuousClock.now - cut)")
            for place in [home, third] { #expect(await cluster.echoes(Self.port, at: place), "\(place.name)") }
            #expect(await untouched.echoes())
            try await cluster.network.heal()
            try await cluster.expectEcho(Self.port, at: entry, within: .seconds(15))
            #expect(client.process.output.lines.count { $0.hasPrefix("tunnel ") } == 1, "\(client.process)")
        }
    }

    @Test(
        "If a server's machine vanishes, a client of two servers is served at all others within 2 s, by new and old addresses"
    )
    func vanishedOneOfTwo() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            let servers = try await cluster.startAll()
            try await cluster.startFront([Self.port])
            let service = try await cluster.echo()
            defer { service.stop() }
            let client = try cluster.client("client", port: Self.port, to: service.port, servers: 2)
            _ = try await client.tunnel(to: service.port)
            let homes = try await cluster.homes(2, among: servers)
            for place in cluster.places { try await cluster.expectEcho(Self.port, at: place) }
            let left = cluster.places.indices.filter { $0 != homes[0] }.map { cluster.places[$0] }
            try await cluster.network.cutOff(cluster.places[homes[0]].host)
            let vanished = ContinuousClock.now
            var slowest = Duration.zero
            var lost: [String] = []
            for number in 0..<60 {
                let begin = ContinuousClock.now
                // The balancer needs a moment; visitors of the servers themselves do not have it.
                let isFront = number % 3 == 0 && begin - vanished > .seconds(2)
                let place = isFront ? nil : left[number % 2]
                if await !cluster.echoes(Self.port, at: place) {
                    lost.append("\(number) at \(place?.name ?? "HAProxy")")
                }
                slowest = max(slowest, ContinuousClock.now - begin)
            }
            print("vanished: 60 visitors in \(ContinuousClock.now - vanished), the slowest took \(slowest)")
            #expect(lost == [])
            #expect(slowest < .seconds(2))
        }
    }

    @Test(
        "The port of a client whose machine vanishes with its server is free for another client once the lease has ended"
    )
    func vanishedWithClient() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            _ = try await cluster.startAll()
            let service = try await cluster.echo()
            defer { service.stop() }
            let first = try cluster.client("first", at: cluster.places[0], port: Self.port, to: service.port)
            _ = try await first.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(Self.port, at: place) }
            try await cluster.network.cutOff(cluster.places[0].host)
            await first.process.kill()
            let vanished = ContinuousClock.now
            let second = try cluster.client("second", at: cluster.places[1], port: Self.port, to: service.port)
            _ = try await second.tunnel(to: service.port, within: .seconds(40))
            print("vanished with its client: the port is free after \(ContinuousClock.now - vanished)")
            for place in cluster.places[1...] { try await cluster.expectEcho(Self.port, at: place) }
        }
    }
}

extension ClusterNetwork {
    /// The servers that have sessions with the client's port, by their logs.
    func homes(_ count: Int, among servers: [ChildProcess]) async throws -> [Int] {
        try await eventually("\(count) servers have a session") {
            let homes = servers.indices.filter { number in
                servers[number].errors.lines.contains { $0.range(of: "port is public") != nil }
            }
            return homes.count == count ? homes : nil
        }
    }
}
