import Foundation
import Platform
import TestSupport
import Testing

extension EndToEnd {
    /// The admin endpoint of a running server and client, and the commands that use it.
    @Suite(.serialized)
    struct AdminTests {
        private func get(_ port: UInt16, _ path: String) async throws -> HTTPAnswer {
            try await onThread { try TCPSocket(port: port).request("GET", path) }
        }

        private func metrics(_ port: UInt16) async throws -> [String: Double] {
            let lines = try await get(port, "/metrics").body.split(separator: "\n")
            return lines.reduce(into: [:]) { metrics, line in
                guard !line.hasPrefix("#"), let space = line.lastIndex(of: " ") else { return }
                metrics[String(line[..<space])] = Double(line[line.index(after: space)...])
            }
        }

        private func admin(_ command: [String], _ socket: String, _ scenario: Scenario) async throws -> ChildProcess {
            let process = try scenario.culvert(command[0], command + ["--admin", "unix:\(socket)"])
            _ = try await process.exitStatus()
            return process
        }

        private func status(_ socket: String, _ scenario: Scenario) async throws -> [String: Any] {
            let process = try await admin(["status", "--json"], socket, scenario)
            let data = Data(process.output.text.utf8)
            return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any], "\(process)")
        }

        /// Connects a visitor, has its text echoed, and leaves the connection open.
        private func visitor(_ port: UInt16, sending text: String) async throws -> TCPSocket {
            try await onThread {
                let visitor = try TCPSocket(port: port)
                try visitor.send(text)
                _ = try visitor.receive(exactly: text.utf8.count)
                return visitor
            }
        }

        @Test("Metrics over TCP count sessions, streams and bytes at both ends, also those of open streams")
        func metrics() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (serverPort, clientPort) = (try FreePorts.next(), try FreePorts.next())
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(serverPort)"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--admin", "127.0.0.1:\(clientPort)"]
                )
                let port = try await client.tunnel(to: echo.port)
                let open = try await visitor(port, sending: "12345")
                try await visitor(port, sending: "123").close()
                for admin in [serverPort, clientPort] {
                    try await eventually("both visitors are counted") {
                        let socket = try TCPSocket(port: admin)
                        let text = try socket.request("GET", "/metrics").body
                        return text.contains("\nculvert_streams_total 1\n")
                    }
                    let metrics = try await metrics(admin)
                    #expect(metrics["culvert_sessions"] == 1)
                    #expect(metrics["culvert_carriers"] == 1)
                    #expect(metrics["culvert_tunnels"] == 1)
                    #expect(metrics["culvert_streams"] == 1)
                    #expect(metrics["culvert_sessions_total"] == 1)
                    #expect(metrics["culvert_bytes_total{direction=\"to_service\"}"] == 8)
                    #expect(metrics["culvert_bytes_total{direction=\"to_visitor\"}"] == 8)
                    #expect(metrics["culvert_round_trip_seconds_count"] ?? 0 >= 1)
                    #expect(metrics["process_resident_memory_bytes"] ?? 0 > 1_000_000)
                    #expect(metrics["process_open_fds"] ?? 0 > 5)
                    try await eventually("the event loops' lag is measured") {
                        let text = try TCPSocket(port: admin).request("GET", "/metrics").body
                        return !text.contains("culvert_event_loop_lag_seconds_count 0\n")
                            && text.contains("culvert_event_loop_lag_seconds_count")
                    }
                }
                open.close()
                let answer = try await get(serverPort, "/metrics")
                #expect(answer.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
            }
        }

        @Test("Failed handshakes are counted by reason")
        func handshakeFailures() async throws {
            try await Scenario.run { scenario in
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                let wrong = "\(scenario.directory)/wrong"
                try scenario.write("another-token-of-thirty-chars-0", to: wrong)
                let client = try scenario.culvert(
                    "client",
                    ["client", server.url, "--token-file", wrong, "-R", "0:localhost:9"]
                )
                #expect(try await client.exitStatus() == .exited(77))
                _ = try await get(server.port, "/elsewhere")
                try await onThread {
                    let noise = try TCPSocket(port: server.port)
                    try noise.send([0x16, 0x03, 0x01])
                    _ = try noise.drain()
                }
                let metrics = try await metrics(admin)
                for (reason, count) in [("credentials", 1), ("request", 1), ("not_http", 1), ("busy", 0)] {
                    let name = "culvert_handshake_failures_total{reason=\"\(reason)\"}"
                    #expect(metrics[name] == Double(count), "\(name)")
                }
            }
        }

        @Test("P17 a TCP port serves neither the status nor kicks, and a unix socket is open to its owner only")
        func privacy() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(port)"])
                #expect(try await get(port, "/status").status == 404)
                let kick = try await onThread { try TCPSocket(port: port).request("POST", "/kick?name=default") }
                #expect(kick.status == 404)
                #expect(try await get(port, "/healthz").status == 200)
                #expect(try await get(port, "/readyz").status == 200)
                #expect(!server.process.errors.text.contains("kicked"))

                let socket = "\(scenario.directory)/admin.sock"
                _ = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let mode = try FileManager.default.attributesOfItem(atPath: socket)[.posixPermissions] as? Int
                #expect(mode == 0o600)
            }
        }

        @Test("culvert status shows sessions, tunnels and present visitors, as a table and as JSON")
        func statusOfServer() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let socket = "\(scenario.directory)/admin.sock"
                let server = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--name", "laptop"]
                )
                let port = try await client.tunnel(to: echo.port)
                let visitor = try await visitor(port, sending: "12345")
                let status = try await status(socket, scenario)
                #expect(status["role"] as? String == "server")
                let session = try #require((status["sessions"] as? [[String: Any]])?.first)
                #expect(session["client"] as? String == "default")
                #expect(session["name"] as? String == "default/laptop")
                #expect((session["peer"] as? String)?.hasPrefix("127.0.0.1:") == true)
                #expect((session["software"] as? String)?.hasPrefix("culvert/") == true)
                #expect(session["since"] is String)
                #expect(session["round_trip_ms"] is Double)
                let tunnel = try #require((session["tunnels"] as? [[String: Any]])?.first)
                #expect(tunnel["address"] as? String == "127.0.0.1")
                #expect(tunnel["port"] as? Int == Int(port))
                #expect(tunnel["visitors"] as? Int == 1)
                #expect(tunnel["visitors_so_far"] as? Int == 1)
                let shown = try #require((session["visitors"] as? [[String: Any]])?.first)
                #expect(shown["address"] as? String == "127.0.0.1:\(visitor.localPort)")
                #expect(shown["port"] as? Int == Int(port))
                #expect(shown["bytes_to_service"] as? Int == 5)
                #expect(shown["bytes_to_visitor"] as? Int == 5)
                let totals = try #require(status["totals"] as? [String: Any])
                #expect(totals["bytes_to_service"] as? Int == 5)

                let table = try await admin(["status"], socket, scenario)
                #expect(table.exitStatus == .exited(0))
                #expect(table.output.lines.contains { $0.hasPrefix("default/laptop") && $0.contains(":\(port)") })
                #expect(table.output.lines.contains { $0.hasPrefix("127.0.0.1:\(visitor.localPort) ") })
                visitor.close()
                try await eventually("the visitor is gone") {
                    let answer = try TCPSocket(unixPath: socket).request("GET", "/status")
                    return answer.body.contains("\"visitors\" : 0") && answer.body.contains("\"visitors_so_far\" : 1")
                }
            }
        }

        @Test("--watch reads the status every second and shows rates")
        func watch() async throws {
            try await Scenario.run { scenario in
                let socket = "\(scenario.directory)/admin.sock"
                _ = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let watch = try scenario.culvert("watch", ["status", "--watch", "--admin", "unix:\(socket)"])
                _ = try await watch.line(skip: 1) { $0.hasPrefix("culvert ") }
                let line = try await watch.line { $0.contains("/s to services") }
                #expect(line == "now: 0 sessions, 0 tunnels, 0 visitors, 0 B/s to services, 0 B/s to visitors")
                watch.signal(SIGINT)
                _ = try await watch.exitStatus()
            }
        }

        @Test("A client's status has its session and its tunnels' URLs, and it is ready while the session lives")
        func statusOfClient() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let socket = "\(scenario.directory)/client.sock"
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--admin", "unix:\(socket)"]
                )
                let port = try await client.tunnel(to: echo.port)
                let status = try await status(socket, scenario)
                let session = try #require(status["session"] as? [String: Any])
                #expect(session["url"] as? String == server.url)
                let tunnel = try #require((session["tunnels"] as? [[String: Any]])?.first)
                #expect(tunnel["url"] as? String == "tcp://127.0.0.1:\(port)")
                #expect(tunnel["service"] as? String == "127.0.0.1:\(echo.port)")
                #expect(try TCPSocket(unixPath: socket).request("GET", "/readyz").status == 200)
                let kick = try await admin(["kick", "default"], socket, scenario)
                #expect(kick.exitStatus == .exited(69))
                #expect(kick.errors.text.contains("a client has no sessions to kick"), "\(kick)")

                await server.process.end()
                try await eventually("the client is not ready any more") {
                    try TCPSocket(unixPath: socket).request("GET", "/readyz").status == 503
                }
                #expect(try TCPSocket(unixPath: socket).request("GET", "/healthz").status == 200)
            }
        }

        @Test(
            "culvert kick disconnects a client by its name, or one of its processes, and sends the reason and the delay"
        )
        func kick() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let socket = "\(scenario.directory)/admin.sock"
                let server = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let clients = try ["a", "b"].map {
                    try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"], options: ["--name", $0])
                }
                for client in clients { _ = try await client.tunnel(to: echo.port) }
                let visitor = try await visitor(clients[0].tunnel(to: echo.port), sending: "x")

                let unknown = try await admin(["kick", "nobody"], socket, scenario)
                #expect(unknown.exitStatus == .exited(69))
                #expect(unknown.errors.text.contains("no session of a client nobody"), "\(unknown)")
                let one = try await admin(["kick", "default/a"], socket, scenario)
                #expect(one.output.lines == ["1 session of default/a disconnected"])
                let line = try await clients[0].process.logLine { $0.contains("session lost") }
                #expect(line.contains("kicked by the operator"), "\(line)")
                let wait = try #require(line.firstMatch(of: /in="([0-9]+)\./)?.output.1)
                #expect(Int(wait) ?? 0 >= 8, "\(line)")
                #expect(try await onThread { try visitor.drain().ending } == .reset)
                #expect(!clients[1].process.errors.text.contains("kicked"))
                let all = try await admin(["kick", "default"], socket, scenario)
                #expect(all.output.lines == ["1 session of default disconnected"])
                _ = try await clients[1].process.logLine { $0.contains("kicked by the operator") }
            }
        }

        @Test("If no server or client listens, status and kick exit with 69 and say what to do")
        func noServer() async throws {
            try await Scenario.run { scenario in
                let socket = "\(scenario.directory)/admin.sock"
                for command in [["status"], ["status", "--watch"], ["kick", "x"]] {
                    let process = try await admin(command, socket, scenario)
                    #expect(process.exitStatus == .exited(69), "\(process)")
                    #expect(process.errors.text.contains("start the server or client with --admin unix:\(socket)"))
                }
                let tcp = try scenario.culvert("tcp", ["status", "--admin", "127.0.0.1:1"])
                #expect(try await tcp.exitStatus() == .exited(64))
            }
        }

        @Test("A stale socket file is replaced; a socket in use, or any other file, is not")
        func socketFiles() async throws {
            try await Scenario.run { scenario in
                let socket = "\(scenario.directory)/admin.sock"
                let first = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let arguments = ["server", "--listen", "127.0.0.1:0", "--token-file", scenario.tokenFile]
                let second = try scenario.culvert("second", arguments + ["--admin", "unix:\(socket)"])
                #expect(try await second.exitStatus() == .exited(78))
                #expect(second.errors.text.contains("another program answers there"), "\(second)")
                await first.process.kill()
                #expect(FileManager.default.fileExists(atPath: socket))
                let third = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                #expect(try TCPSocket(unixPath: socket).request("GET", "/readyz").status == 200)
                await third.process.end()
                #expect(!FileManager.default.fileExists(atPath: socket))

                let file = "\(scenario.directory)/precious"
                try scenario.write("data", to: file)
                let fourth = try scenario.culvert("fourth", arguments + ["--admin", "unix:\(file)"])
                #expect(try await fourth.exitStatus() == .exited(78), "\(fourth)")
                #expect(try String(contentsOfFile: file, encoding: .utf8) == "data")
            }
        }

        @Test("A draining server is alive and not ready, and still serves its status")
        func draining() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let socket = "\(scenario.directory)/admin.sock"
                let server = try await scenario.server(options: ["--admin", "unix:\(socket)"])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"])
                let visitor = try await visitor(client.tunnel(to: echo.port), sending: "x")
                #expect(try TCPSocket(unixPath: socket).request("GET", "/readyz").status == 200)
                server.process.signal(SIGTERM)
                try await eventually("the server is not ready") {
                    let answer = try TCPSocket(unixPath: socket).request("GET", "/readyz")
                    return answer.status == 503 && answer.body == "the server is stopping\n"
                }
                #expect(try TCPSocket(unixPath: socket).request("GET", "/healthz").status == 200)
                let status = try await status(socket, scenario)
                #expect(status["is_accepting"] as? Bool == false)
                #expect((status["sessions"] as? [[String: Any]])?.first?["is_draining"] as? Bool == true)
                visitor.close()
                #expect(try await server.process.exitStatus() == .exited(0))
            }
        }

        @Test("An endless head ends with 431, and 64 silent connections do not disturb streams")
        func hostile() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let answer = try await onThread {
                    let endless = try TCPSocket(port: admin)
                    try endless.send("GET /metrics HTTP/1.1\r\n")
                    for _ in 0..<2_000 {
                        do { try endless.send("X: " + String(repeating: "y", count: 50) + "\r\n") } catch { break }
                    }
                    return String(decoding: try endless.drain().bytes, as: UTF8.self)
                }
                #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 431 "))
                let silent = try (0..<64).map { _ in try TCPSocket(port: admin) }
                try await eventually("another connection is closed at once") {
                    let one = try TCPSocket(port: admin, timeout: .seconds(2))
                    return (try? one.drain().bytes.isEmpty) ?? false
                }
                try await expectEcho(through: port)
                for socket in silent { socket.close() }
                try await eventually("connections are accepted again") {
                    (try? TCPSocket(port: admin).request("GET", "/healthz").status) == 200
                }
            }
        }

        @Test("P15 the log line of a stream's end has all its fields at both ends; a hostile name stays in its field")
        func logs() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--log-format", "json"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--log-format", "json", "--name", "x\",\"level\":\"\u{202E}\\\u{2028}"]
                )
                let port = try await client.tunnel(to: echo.port)
                let visitor = try await visitor(port, sending: "12345")
                let address = "127.0.0.1:\(visitor.localPort)"
                visitor.close()
                for process in [server.process, client.process] {
                    let line = try await process.logLine { $0.contains("\"stream ended\"") }
                    let fields = try #require(
                        JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                        "\(line)"
                    )
                    #expect(fields["visitor"] as? String == address)
                    #expect(fields["tunnel"] as? Int == 0)
                    #expect(fields["port"] as? Int == Int(port))
                    #expect(fields["to_service"] as? Int == 5 && fields["to_visitor"] as? Int == 5)
                    #expect(fields["reason"] as? String == "finished")
                    #expect(fields["duration_ms"] is Int)
                    #expect(fields["level"] as? String == "info")
                }
                for line in server.process.errors.lines {
                    let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                    #expect(fields?["message"] != nil, "\(line)")
                    #expect(!line.contains("\u{202E}") && !line.contains("\u{2028}"), "\(line)")
                }
                let opened = try await server.process.logLine { $0.contains("session opened") }
                // The client removes unprintable characters before it sends the name.
                #expect(opened.contains(#""client":"default/x\",\"level\":\"\\""#), "\(opened)")
            }
        }
    }
}
