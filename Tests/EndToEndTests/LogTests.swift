import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What a log says at its levels, and where it goes.
    @Suite(.serialized)
    struct LogTests {
        /// Tries to have another address banned.
        private static let hostileName = "2026-01-01T00:00:00.000Z info request refused peer=192.0.2.1"

        private static func text(_ path: String) -> String {
            (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        }

        @Test(
            "At debug each hop of a dial has a line with its time, and a visitor one at both ends; at trace frames too"
        )
        func levels() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--log-level", "debug"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--log-level", "trace"]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                _ = try await client.process.logLine { $0.contains(" stream ended ") }
                let lines = client.process.errors.lines
                let hops = lines.filter { $0.contains(" debug hop passed ") }
                #expect(hops.count == 3 && hops.allSatisfy { $0.contains(" took_ms=") }, "\(hops)")
                for (hop, name) in zip(hops, ["connect", "upgrade", "session"]) { expect(hop, says: "hop=\(name)") }
                for process in [client.process, server.process] {
                    _ = try await process.logLine { $0.contains(" stream ended ") }
                    #expect(process.errors.lines.count { $0.contains(" debug visitor came ") } == 1)
                }
                let frames = lines.filter { $0.contains(" trace frame ") }
                for type in ["challenge", "authenticate", "welcome", "bind", "bound", "open", "accept", "data", "end"] {
                    #expect(frames.contains { $0.contains("type=\(type)") }, "\(type)")
                }
            }
        }

        @Test("The log goes to a file, which SIGHUP and culvert reload open again after it was renamed")
        func file() async throws {
            try await Scenario.run { scenario in
                let (log, admin) = ("\(scenario.directory)/log", "unix:\(scenario.directory)/admin.sock")
                let server = try await scenario.server(options: ["--log-file", log, "--admin", admin])
                try await eventually("the log's file has lines") { Self.text(log).contains(" listening ") }
                try FileManager.default.moveItem(atPath: log, toPath: "\(log).1")
                server.process.signal(SIGHUP)
                try await eventually("the new file has the reload") { Self.text(log).contains(" reloaded") }
                try FileManager.default.moveItem(atPath: log, toPath: "\(log).2")
                let reload = try scenario.culvert("reload", ["reload", "--admin", admin])
                #expect(try await reload.exitStatus() == .exited(0))
                try await eventually("the third file has the second reload") { Self.text(log).contains(" reloaded") }
                await server.process.end()
                #expect(Self.text(log).contains(" stopping") && server.process.errors.text.isEmpty)
                let nowhere = try scenario.culvert(
                    "nowhere",
                    ["server", "--log-file", "\(scenario.directory)/none/log"]
                )
                #expect(try await nowhere.exitStatus() == .exited(78))
                expect(nowhere.errors.text, says: "cannot be opened", "choose a file")
            }
        }

        @Test("P21 a refused request behind a front is logged with the client's address, not with the front's")
        func front() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: ["--trusted-front", "127.0.0.1"])
                _ = try await onThread {
                    let socket = try TCPSocket(port: server.port)
                    try socket.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.77\r\n\r\n")
                    _ = try socket.receive(exactly: 12)
                    socket.close()
                }
                let line = try await server.process.logLine { $0.contains(" request refused ") }
                expect(line, says: " request refused peer=203.0.113.77 ", "front=127.0.0.1:")
            }
        }

        @Test(
            "P21 the fail2ban filter finds the address of a wrong token and of a refused request, in text and in JSON",
            .needs(.failRegex),
            arguments: ["text", "json"]
        )
        func ban(_ format: String) async throws {
            try await Scenario.run { scenario in
                let log = "\(scenario.directory)/log"
                let server = try await scenario.server(options: ["--log-file", log, "--log-format", format])
                let wrong = "\(scenario.directory)/wrong-token"
                try scenario.write("another token, long enough for a token\n", to: wrong)
                let client = try scenario.culvert(
                    "client",
                    ["client", server.url, "--token-file", wrong, "-R", "0:127.0.0.1:1", "--name", Self.hostileName]
                )
                #expect(try await client.exitStatus() == .exited(77))
                _ = try await onThread { try TCPSocket(port: server.port).request("GET", "/elsewhere") }
                try await eventually("both lines are there") {
                    Self.text(log).split(separator: "\n").count { $0.contains("refused") } == 2
                }
                // Lines of other addresses, as a front or IPv6 gives them, in the order of time.
                let lines = Self.text(log).split(separator: "\n").map(String.init).filter { $0.contains("refused") }
                let more = ["[2001:db8::1]:40001", "2001:db8::2", "203.0.113.9"].flatMap { address in
                    lines.map { line in
                        line.replacingOccurrences(
                            of: #"127\.0\.0\.1:\d+"#,
                            with: address,
                            options: .regularExpression
                        )
                    }
                }
                try scenario.write((lines + more).sorted().joined(separator: "\n") + "\n", to: log)
                let found = try await scenario.run(
                    .failRegex,
                    ["--out", "ip", log, try Fixture.url("fail2ban/culvert.conf").path]
                )
                let addresses = found.split(separator: "\n").map(String.init)
                #expect(
                    addresses.sorted()
                        == ["127.0.0.1", "2001:db8::1", "2001:db8::2", "203.0.113.9"].flatMap { [$0, $0] },
                    "\(found)"
                )
            }
        }
    }
}
