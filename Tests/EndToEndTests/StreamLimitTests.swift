import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The limit of streams in a session, and the share of each tunnel.
    @Suite(.serialized)
    struct StreamLimitTests {
        private func start(
            _ scenario: Scenario,
            streams: Int,
            services: [TCPService]
        ) async throws -> (server: CulvertServer, client: CulvertClient, ports: [UInt16], admin: UInt16) {
            let file = "\(scenario.directory)/server.toml"
            try scenario.write("[limits]\nstreams = \(streams)\n", to: file)
            let admin = try FreePorts.next()
            let server = try await scenario.server(options: ["--config", file, "--admin", "127.0.0.1:\(admin)"])
            let client = try scenario.client(server.url, services.map { "0:127.0.0.1:\($0.port)" })
            var ports: [UInt16] = []
            for service in services { ports.append(try await client.tunnel(to: service.port)) }
            return (server, client, ports, admin)
        }

        private static func visitors(_ count: Int, at port: UInt16) async throws -> [TCPSocket] {
            try await onThread {
                try (0..<count).map { _ in
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("x")
                    _ = try visitor.receive(exactly: 1)
                    return visitor
                }
            }
        }

        @Test(
            "Idle visitors of one tunnel leave the reserve of another; further visitors are reset, logged and counted"
        )
        func limitReached() async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.echo(), try TCPService.echo())
                let (server, client, ports, admin) = try await start(scenario, streams: 5, services: [one, two])
                let idle = try await Self.visitors(4, at: ports[0])
                let refused = try await onThread { try TCPSocket(port: ports[0]).drain() }
                #expect(refused.ending == .reset && refused.bytes.isEmpty)
                let line = try await server.process.logLine { $0.contains("visitor refused") }
                #expect(line.contains("all streams of the session are used") && line.contains("warning"), "\(line)")
                let metrics = try await onThread { try TCPSocket(port: admin).request("GET", "/metrics").body }
                #expect(metrics.contains("culvert_refused_visitors_total{reason=\"no_streams\"} 1\n"))
                try await expectEcho(through: ports[1])
                for visitor in idle { visitor.close() }
                try await expectEcho(through: ports[0])
                #expect(client.process.exitStatus == nil)
            }
        }

        @Test("A client with a lower limit than its server keeps its session, and the server refuses further visitors")
        func fewerAtTheClient() async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.echo(), try TCPService.echo())
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                let file = "\(scenario.directory)/client.toml"
                try scenario.write("[limits]\nstreams = 5\n", to: file)
                let client = try scenario.client(
                    server.url,
                    [one, two].map { "0:127.0.0.1:\($0.port)" },
                    options: ["--config", file]
                )
                let ports = [try await client.tunnel(to: one.port), try await client.tunnel(to: two.port)]
                let idle = try await Self.visitors(4, at: ports[0])
                try await onThreads(300, width: 300) { _ in
                    // The connection may be reset before `connect` returns.
                    guard let visitor = try? TCPSocket(port: ports[0], timeout: .seconds(10)) else { return }
                    _ = try visitor.drain()
                }
                try await expectEcho(through: ports[1])
                let metrics = try await onThread { try TCPSocket(port: admin).request("GET", "/metrics").body }
                #expect(metrics.contains("culvert_refused_visitors_total{reason=\"no_streams\"} 300\n"))
                #expect(!client.process.errors.text.contains("session lost"), "\(client.process)")
                for visitor in idle { visitor.close() }
                try await expectEcho(through: ports[0])
            }
        }

        @Test("600 visitors beyond the limit are all reset within 10 s")
        func manyVisitors() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (_, _, ports, _) = try await start(scenario, streams: 5, services: [echo])
                let idle = try await Self.visitors(5, at: ports[0])
                let endings = Mailbox<TCPSocket.Ending>()
                try await onThreads(600, width: 600) { _ in
                    let visitor = try TCPSocket(port: ports[0], timeout: .seconds(10))
                    endings.put(try visitor.drain().ending)
                }
                #expect(endings.all.count == 600 && endings.all.allSatisfy { $0 == .reset })
                for visitor in idle { visitor.close() }
                try await expectEcho(through: ports[0])
            }
        }

        @Test("P11 a tunnel to its own public port refuses its visitor and leaves no stream")
        func loop() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                // The server's address, its name, and the mapped IPv6 form.
                for service in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
                    let client = try scenario.client(server.url, ["\(port):\(service):\(port)"])
                    _ = try await client.tunnel(to: port)
                    let (_, ending) = try await onThread { try TCPSocket(port: port).drain() }
                    #expect(ending == .reset)
                    _ = try await client.process.logLine { $0.contains("leads to a public port of its own") }
                    try await eventually("no stream is left") {
                        try TCPSocket(port: admin).request("GET", "/metrics").body.contains("\nculvert_streams 0\n")
                    }
                    client.process.signal(SIGTERM)
                    _ = try await client.process.exitStatus()
                }
            }
        }
    }
}
