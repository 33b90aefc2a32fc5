import Foundation
import TestSupport
import Testing

/// Tests of timeouts and idle sessions. They usually wait, so they run beside all other suites.
@Suite("Timeouts and idle sessions", .timeLimit(.minutes(5)))
struct TimeoutTests {
    @Test("A stalled handshake ends after about 10 s", arguments: ["", "GET /tunnel HTTP/1.1\r\nHost: local"])
    func stalledHandshake(_ start: String) async throws {
        try await Scenario.run { scenario in
            let server = try await scenario.server()
            let (answer, waited) = try await onThread {
                let begin = ContinuousClock.now
                let stranger = try TCPSocket(port: server.port)
                try stranger.send(start)
                let answer = String(decoding: try stranger.drain().bytes, as: UTF8.self)
                return (answer, ContinuousClock.now - begin)
            }
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
            #expect(waited > .seconds(8) && waited < .seconds(20), "it took \(waited)")
        }
    }

    @Test("H19 a head that arrives slowly ends after about 10 s")
    func slowHead() async throws {
        try await Scenario.run { scenario in
            let server = try await scenario.server()
            let waited = try await onThread {
                let begin = ContinuousClock.now
                let stranger = try TCPSocket(port: server.port)
                do {
                    try stranger.send("GET /tunnel HTTP/1.1\r\n")
                    while ContinuousClock.now - begin < .seconds(25) {
                        try stranger.send("X: y\r\n")
                        Thread.sleep(forTimeInterval: 0.5)
                    }
                } catch {
                    // The server has closed the connection.
                }
                return ContinuousClock.now - begin
            }
            #expect(waited > .seconds(8) && waited < .seconds(20), "it took \(waited)")
        }
    }

    @Test("A client gives up a silent server after 10 s, and the line names the hop")
    func silentServer() async throws {
        try await Scenario.run { scenario in
            let gate = Gate()
            let silent = try TCPService.silent(until: gate)
            let client = try scenario.client(
                "ws://127.0.0.1:\(silent.port)",
                ["0:localhost:9"],
                options: ["--max-retries", "0"]
            )
            #expect(try await client.process.exitStatus(within: .seconds(30)) == .exited(69), "\(client.process)")
            #expect(client.process.errors.text.contains("upgrade"), "\(client.process)")
            gate.open()
        }
    }

    @Test("Idle sessions survive the first pings")
    func idleSessions() async throws {
        try await Scenario.run { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let clients = try (0..<8).map {
                try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"], options: ["--name", "idle-\($0)"])
            }
            var ports: [UInt16] = []
            for client in clients { ports.append(try await client.tunnel(to: echo.port)) }
            try await Task.sleep(for: .seconds(13))
            for (client, port) in zip(clients, ports) {
                #expect(!client.process.errors.text.contains("lost"), "\(client.process)")
                try await expectEcho(through: port)
            }
        }
    }

    @Test(
        "nginx's default timeouts of 60 s do not cut an idle tunnel",
        .needs(.nginx, .openssl)
    )
    func idleThroughNginx() async throws {
        try await Scenario.run { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let nginx = try await Nginx.front(of: server.port, in: scenario)
            let client = try scenario.client(
                nginx.url,
                ["0:127.0.0.1:\(echo.port)"],
                options: ["--ca", nginx.authority]
            )
            let port = try await client.tunnel(to: echo.port)
            let visitor = try await onThread {
                let visitor = try TCPSocket(port: port)
                try visitor.send("before")
                _ = try visitor.receive(exactly: 6)
                return visitor
            }
            try await Task.sleep(for: .seconds(70))
            let answer = try await onThread {
                try visitor.send("after")
                return String(decoding: try visitor.receive(exactly: 5), as: UTF8.self)
            }
            #expect(answer == "after")
            #expect(nginx.upgrades.isEmpty, "the only WebSocket is still open")
            #expect(client.process.output.lines.count == 1)
            visitor.close()
        }
    }
}
