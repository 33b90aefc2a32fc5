import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Temporary errors and refusals of a client whose session has worked.
    @Suite(.serialized)
    struct RefusalTests {
        private func wrongToken(_ scenario: Scenario) throws -> String {
            let file = "\(scenario.directory)/wrong"
            try scenario.write("another-token-of-thirty-chars-0", to: file)
            return file
        }

        @Test("A client whose token is refused for a time tries again, and SIGHUP ends the wait")
        func temporaryRefusal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"])
                _ = try await client.tunnel(to: echo.port)
                await server.process.kill()
                let options = ["--token-file", try wrongToken(scenario)]
                let wrong = try await scenario.server(port: server.port, options: options)
                let line = try await client.process.logLine { $0.contains("does not accept this token") }
                #expect(line.contains("again_in="), "\(line)")
                await wrong.process.kill()
                _ = try await scenario.server(port: server.port)
                client.process.signal(SIGHUP)
                try await expectEcho(through: client.tunnel(to: echo.port, skip: 1))
            }
        }

        @Test("A server on loopback without a trusted front logs that all clients share one limit")
        func unnamedFront() async throws {
            try await Scenario.run { scenario in
                let bare = try await scenario.server()
                let line = try await bare.process.logLine { $0.contains("share one limit") }
                #expect(line.contains("--trusted-front 127.0.0.1"), "\(line)")
                let named = try await scenario.server(options: ["--trusted-front", "127.0.0.1"])
                _ = try await named.process.logLine { $0.contains("listening") }
                #expect(!named.process.errors.text.contains("share one limit"), "\(named.process)")
            }
        }

        @Test("--exit-on-refusal ends the client at a refusal with 77")
        func exitOnRefusal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--exit-on-refusal"]
                )
                _ = try await client.tunnel(to: echo.port)
                await server.process.kill()
                _ = try await scenario.server(port: server.port, options: ["--token-file", try wrongToken(scenario)])
                #expect(try await client.process.exitStatus() == .exited(77), "\(client.process)")
            }
        }

        @Test("A 503 from a proxy that requires a password does not count as a refused password")
        func unavailableProxy() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let requests = Mailbox<Int>()
                let isUnavailable = { @Sendable in
                    requests.put(1)
                    return (2...4).contains(requests.all.count)
                }
                let proxy = try ScriptedProxy { connection in
                    while let request = try connection.request() {
                        guard request.field("Proxy-Authorization") != nil else {
                            try connection.challenge("Basic realm=\"x\"")
                            continue
                        }
                        if isUnavailable() {
                            return try connection.answer(
                                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
                            )
                        }
                        return try connection.tunnel(request)
                    }
                }
                let port = try #require(URL(string: proxy.url)?.port.flatMap { UInt16(exactly: $0) })
                let relay = try FaultRelay(to: port)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--proxy", "http://127.0.0.1:\(relay.port)", "--proxy-user", "ann:secret"]
                )
                let publicPort = try await client.tunnel(to: echo.port)
                let visitor = try await onThread {
                    let visitor = try TCPSocket(port: publicPort, timeout: .seconds(30))
                    try visitor.send("before")
                    _ = try visitor.receive(exactly: 6)
                    return visitor
                }
                relay.cut(.reset)
                _ = try await client.process.logLine { $0.contains("carrier lost") }
                try await onThread {
                    try visitor.send("after")
                    _ = try visitor.receive(exactly: 5)
                }
                #expect(requests.all.count >= 5, "the proxy answered no 503")
            }
        }

        @Test("Status, metrics and readiness report the time without a carrier, the reason, and the next dial")
        func withoutCarrier() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let socket = "\(scenario.directory)/client.sock"
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--admin", "unix:\(socket)"]
                )
                _ = try await client.tunnel(to: echo.port)
                let get = { @Sendable (path: String) in try TCPSocket(unixPath: socket).request("GET", path) }
                #expect(try await onThread { try get("/readyz").status } == 200)
                await server.process.kill()
                try await eventually("readiness reports the failed dial") {
                    let answer = try get("/readyz")
                    return answer.status == 503 && answer.body.contains("refused the connection")
                        && answer.body.contains("next try in")
                }
                let metrics = try await onThread { try get("/metrics").body }
                #expect(metrics.contains("\nculvert_without_carrier_seconds "), "\(metrics)")
                #expect(metrics.contains("\nculvert_carriers 0\n"))
                let status = try await onThread { try get("/status").body }
                for key in ["without_since", "last_error", "next_try"] { #expect(status.contains(key), "\(status)") }
                let page = try scenario.culvert("status", ["status", "--admin", "unix:\(socket)"])
                _ = try await page.exitStatus()
                #expect(page.output.text.contains("not connected for"), "\(page)")
                #expect(page.output.text.contains("refused the connection"), "\(page)")

                let renewal = try scenario.culvert("renew", ["renew", "--admin", "unix:\(socket)"])
                _ = try await renewal.exitStatus()
                #expect(renewal.output.text.contains("the dial failed: "), "\(renewal)")
                _ = try await scenario.server(port: server.port)
                try await eventually("a renewal connects") {
                    let answer = try TCPSocket(unixPath: socket).request("POST", "/renew").body
                    return answer.contains("connected: ws:") || answer.contains("another WebSocket has taken over")
                }
                _ = try await client.tunnel(to: echo.port, skip: 1)
                #expect(try await onThread { try get("/readyz").status } == 200)
            }
        }
    }
}
