import Foundation
import TestSupport
import Testing

/// A server of a cluster that is asked to stop while a visitor's long stream runs.
@Suite("A server of a cluster that drains", .serialized)
struct ClusterDrainTests {
    @Test("While a stream keeps a server from stopping, all other servers serve its client's visitors")
    func longStream() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, leavingTime: 1, in: scenario)
            let servers = try await cluster.startAll()
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port)
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let home = try await cluster.home(among: servers)
            let (port, address) = (cluster.port, cluster.places[home].address)
            let stream = try await onThread { try TCPSocket(port: port, address: address, timeout: .seconds(20)) }
            #expect(await stream.echoes())
            servers[home].signal(SIGTERM)
            _ = try await client.process.logLine { $0.range(of: "server is going away") != nil }
            let others = cluster.places.indices.filter { $0 != home }.map { cluster.places[$0] }
            let lost = Mailbox<String>()
            await withTaskGroup(of: Void.self) { visitors in
                for place in others + others {
                    visitors.addTask {
                        let visitor = try? await onThread {
                            try TCPSocket(port: port, address: place.address, timeout: .seconds(10))
                        }
                        if await visitor?.echoes() != true { lost.put(place.name) }
                        visitor?.close()
                    }
                }
            }
            #expect(await stream.echoes(), "the stream lives for 30 s")
            stream.close()
            #expect(try await servers[home].exitStatus() == .exited(0))
            #expect(lost.all == [])
        }
    }
}
