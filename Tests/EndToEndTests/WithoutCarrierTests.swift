import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The end of either role while a session waits for another carrier.
    @Suite(.serialized)
    struct WithoutCarrierTests {
        /// Starts a tunnel with a visitor that has had an echo, and then cuts the carrier on a path that discards all
        /// bytes.
        private static func start(
            _ scenario: Scenario,
            withVisitor: Bool = true,
            clientOptions: [String] = []
        ) async throws -> (server: CulvertServer, relay: FaultRelay, client: CulvertClient, visitor: TCPSocket?) {
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let relay = try FaultRelay(to: server.port)
            let client = try scenario.client(
                "ws://127.0.0.1:\(relay.port)",
                ["0:127.0.0.1:\(echo.port)"],
                options: clientOptions
            )
            let port = try await client.tunnel(to: echo.port)
            let visitor = withVisitor ? try await Self.visitor(port) : nil
            relay.setBlackhole(.both)
            relay.cut(.reset)
            _ = try await client.process.logLine { $0.contains("carrier lost") }
            _ = try await server.process.logLine { $0.contains("carrier lost") }
            return (server, relay, client, visitor)
        }

        private static func visitor(_ port: UInt16) async throws -> TCPSocket {
            try await onThread {
                let visitor = try TCPSocket(port: port)
                try visitor.send("before")
                _ = try visitor.receive(exactly: 6)
                return visitor
            }
        }

        @Test(
            "N26 SIGTERM ends at once a client whose session waits without streams",
            arguments: [SIGTERM, SIGINT]
        )
        func idleClient(_ signal: Int32) async throws {
            try await Scenario.run { scenario in
                let (_, _, client, _) = try await Self.start(scenario, withVisitor: false)
                client.process.signal(signal)
                #expect(try await client.process.exitStatus(within: .seconds(5)) == .exited(0), "\(client.process)")
            }
        }

        @Test(
            "N26 SIGTERM lets a client's streams finish on the next carrier, and a second SIGTERM ends it at once",
            arguments: [1, 2]
        )
        func busyClient(signals: Int) async throws {
            try await Scenario.run { scenario in
                let (_, relay, client, visitor) = try await Self.start(scenario)
                client.process.signal(SIGTERM)
                _ = try await client.process.logLine { $0.contains("stopping") }
                if signals == 2 {
                    client.process.signal(SIGTERM)
                    _ = try await client.process.exitStatus(within: .seconds(5))
                    return
                }
                relay.setBlackhole([])
                relay.cut(.reset)
                let connected = try #require(visitor)
                let answer = try await onThread {
                    try connected.send("and after")
                    try connected.finishSending()
                    return String(decoding: try connected.receiveToEnd(), as: UTF8.self)
                }
                #expect(answer == "and after")
                #expect(try await client.process.exitStatus(within: .seconds(10)) == .exited(0))
            }
        }

        @Test("N26 SIGTERM ends at once a server whose only session waits, and resets its visitor")
        func server() async throws {
            try await Scenario.run { scenario in
                let (server, _, _, visitor) = try await Self.start(scenario)
                server.process.signal(SIGTERM)
                #expect(try await server.process.exitStatus(within: .seconds(5)) == .exited(0))
                let ending = try await onThread { try visitor?.drain().ending }
                #expect(ending == .reset)
            }
        }

        @Test("--max-retries limits the dials of a waiting session: the client exits with 69 and resets the service")
        func retries() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<String>()
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 6)
                    try socket.send("before")
                    endings.put("\(try socket.drain().ending)")
                }
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(service.port)"],
                    options: ["--max-retries", "2"]
                )
                let visitor = try await Self.visitor(client.tunnel(to: service.port))
                await server.process.kill()
                let end = try await client.process.exitStatus(within: .seconds(60))
                #expect(end == .exited(69), "\(client.process)")
                let ending = try await endings.next("the service's connection ends")
                #expect(ending == "reset")
                visitor.close()
            }
        }

        @Test(
            "N21 if a proxy refuses the password, a renewal keeps the carrier, and a waiting session ends with 77"
        )
        func proxyRefuses() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let dials = Mailbox<Int>()
                let proxy = try ScriptedProxy { connection in
                    dials.put(1)
                    guard let request = try connection.request() else { return }
                    if dials.all.count == 1 { return try connection.tunnel(request) }
                    // The proxy accepts neither the preemptive password nor the answer to the challenge.
                    try connection.challenge("Basic realm=\"here\"")
                    if try connection.request() != nil { try connection.challenge("Basic realm=\"here\"") }
                }
                let port = try #require(proxy.url.split(separator: ":").last.flatMap { UInt16($0) })
                let relay = try FaultRelay(to: port)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: [
                        "--proxy", "http://127.0.0.1:\(relay.port)", "--proxy-user", "paul:changed-Secret",
                        "--admin", scenario.adminSocket,
                    ]
                )
                let tunnel = try await client.tunnel(to: echo.port)
                try scenario.renew()
                let line = try await client.process.logLine { $0.contains("the present WebSocket stays in use") }
                #expect(line.contains("407"), "\(line)")
                try await expectEcho(through: tunnel)
                #expect(client.process.exitStatus == nil)
                relay.cut(.reset)
                #expect(try await client.process.exitStatus(within: .seconds(10)) == .exited(77), "\(client.process)")
                #expect(!client.process.errors.text.contains("changed-Secret"))
            }
        }
    }
}
