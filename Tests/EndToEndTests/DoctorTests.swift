import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `culvert doctor`: the first line that says fail names the hop, and the exit code is that hop's.
    @Suite(.serialized)
    struct DoctorTests {
        private static let (user, password) = ("ann", "doctors-secret")

        /// Runs the doctor to its end.
        private static func doctor(
            _ scenario: Scenario,
            _ arguments: [String],
            within limit: Duration = .seconds(60)
        ) async throws -> (status: ProcessEnd, lines: [String]) {
            let doctor = try scenario.culvert(
                "doctor",
                ["doctor"] + arguments + ["--token-file", scenario.tokenFile]
            )
            let status = try await doctor.exitStatus(within: limit)
            return (status, doctor.output.lines)
        }

        /// The names of the checks, and whether they failed.
        private static func checks(_ lines: [String]) -> [String] {
            lines.compactMap { line in
                let words = line.split(separator: " ")
                guard words.count > 1, ["ok", "warn", "fail"].contains(words[0]), !line.hasPrefix(" ") else {
                    return nil
                }
                return "\(words[0]) \(words[1])"
            }
        }

        @Test("Through a front and a proxy with a password every hop has its line, in JSON too", .needs(.squid, .nginx))
        func path() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--trusted-front", "127.0.0.1"])
                let front = try await FrontProgram.nginx.front(of: server.port, in: scenario)
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let arguments = [
                    front.url, "--ca", front.authority, "--proxy", squid.url(host: "localhost"), "--proxy-user",
                    "\(Self.user):\(Self.password)", "-R", "\(try FreePorts.next()):127.0.0.1:\(echo.port)", "--json",
                ]
                let (status, lines) = try await Self.doctor(scenario, arguments)
                #expect(status == .exited(0), "\(lines)")
                let report = try #require(
                    JSONSerialization.jsonObject(with: Data(lines.joined(separator: "\n").utf8)) as? [String: Any]
                )
                #expect(report["verdict"] as? String == "warn")
                let checks = try #require(report["checks"] as? [[String: Any]])
                #expect(
                    checks.compactMap { $0["name"] as? String } == [
                        "configuration", "proxy choice", "way", "lookup", "connect", "proxy", "TLS", "upgrade",
                        "session",
                        "clock", "front", "rights", "port", "service", "latency", "buffering", "rate down", "rate up",
                    ]
                )
                let proxy = try #require(checks.first { $0["name"] as? String == "proxy" })
                // Basic over an unencrypted connection is worth a warning, and changes no exit code.
                #expect(proxy["verdict"] as? String == "warn")
                #expect(!lines.joined().contains(Self.password))
                let front1 = try #require(checks.first { $0["name"] as? String == "front" })
                #expect((front1["fact"] as? String)?.hasSuffix("which reports 127.0.0.1") == true)
            }
        }

        @Test("A fault is the first line that says fail, with its exit code and a remedy", .needs(.squid))
        func faults() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario, user: Self.user, password: Self.password)
                let portal = try ScriptedProxy { connection in
                    _ = try connection.request()
                    try connection.answer("HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\nblocked")
                }
                let web = try TCPService.web(page: "hello")
                let closed = try FreePorts.next()
                let url = "ws://localhost:\(server.port)"
                let rows: [([String], Int32, String)] = [
                    ([url, "--proxy", "http://127.0.0.1:\(closed)"], 69, "fail connect"),
                    ([url, "--proxy", squid.url(host: "localhost")], 77, "fail proxy"),
                    (
                        [url, "--proxy", squid.url(host: "localhost"), "--proxy-user", "\(Self.user):wrong"], 77,
                        "fail proxy"
                    ),
                    ([url, "--proxy", portal.url], 77, "fail proxy"),
                    (["ws://localhost:\(web.port)"], 76, "fail upgrade"),
                    (["wss://localhost:\(server.port)"], 69, "fail TLS"),
                    (["ws://name.invalid:80"], 69, "fail lookup"),
                    ([url, "-R", "\(closed):127.0.0.1:\(try FreePorts.next())"], 69, "fail service"),
                    ([url, "-L", "1:127.0.0.1:1"], 77, "fail destination"),
                    ([url, "--ca", "/none"], 78, "fail configuration"),
                ]
                for (arguments, code, first) in rows {
                    let (status, lines) = try await Self.doctor(scenario, arguments)
                    #expect(status == .exited(code), "\(arguments): \(lines)")
                    #expect(Self.checks(lines).first { $0.hasPrefix("fail") } == first, "\(arguments): \(lines)")
                    let place = try #require(lines.firstIndex { $0.hasPrefix("fail") })
                    #expect(lines[place + 1].contains("-> "), "\(arguments): \(lines)")
                    #expect(lines.last == "it does not work: begin with the first line that says fail")
                }
            }
        }

        @Test("A front that does not pass the upgrade on is told the lines that it lacks", .needs(.nginx))
        func frontWithoutUpgrade() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let front = try await Nginx.plain(of: server.port, in: scenario)
                let (status, lines) = try await Self.doctor(scenario, ["ws://127.0.0.1:\(front.port)"])
                #expect(status == .exited(76), "\(lines)")
                #expect(Self.checks(lines).last == "fail upgrade")
                #expect(lines.contains { $0.hasSuffix("proxy_set_header Upgrade $http_upgrade;") }, "\(lines)")
                #expect(!lines.contains { $0.contains("HAProxy") }, "nginx has named itself")
            }
        }

        @Test("A password that one proxy refuses is not tried at another")
        func lockout() async throws {
            try await Scenario.run { scenario in
                let challenge = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
                let proxies = try (0..<2).map { _ in
                    try ScriptedProxy { connection in
                        while try connection.request() != nil { try connection.answer(challenge) }
                    }
                }
                let (status, _) = try await Self.doctor(
                    scenario,
                    ["ws://a.test:1"] + proxies.flatMap { ["--proxy", $0.url] } + ["--proxy-user", "ann:wrong"]
                )
                #expect(status == .exited(77))
                let tries = proxies.map { $0.requests.all.count { $0.field("Proxy-Authorization") != nil } }
                #expect(tries == [1, 0])
            }
        }

        @Test("A report has versions, checks, the status and the log's end, and no secret; it overwrites nothing")
        func report() async throws {
            try await Scenario.run { scenario in
                let (file, log) = ("\(scenario.directory)/report", "\(scenario.directory)/log")
                try scenario.write((0..<200).map { "line \($0)\n" }.joined(), to: log)
                let arguments = [
                    "ws://name.invalid:1", "--proxy", "http://ann:url-secret@127.0.0.1:1", "--header",
                    "X-Key: header-secret-value", "--log-file", log, "--report", file,
                ]
                let (status, _) = try await Self.doctor(scenario, arguments)
                #expect(status == .exited(69))
                let text = try String(contentsOfFile: file, encoding: .utf8)
                for part in ["== versions\nculvert ", "== checks\n", "fail  connect", "== log\n", "line 199"] {
                    #expect(text.contains(part), "\(part)")
                }
                #expect(!text.contains("line 99\n") && !text.contains("url-secret"))
                #expect(!text.contains("header-secret-value"))
                let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                #expect(mode == 0o600)
                let (again, _) = try await Self.doctor(scenario, arguments)
                let same = try String(contentsOfFile: file, encoding: .utf8)
                #expect(again == .exited(78) && same == text)
            }
        }

        @Test("The server's side: a mistake, a taken port and a missing front are found before the start")
        func serverSide() async throws {
            try await Scenario.run { scenario in
                let file = "\(scenario.directory)/server.toml"
                func run() async throws -> (ProcessEnd, [String]) {
                    let doctor = try scenario.culvert("doctor", ["doctor", "--server", "--config", file])
                    return (try await doctor.exitStatus(), doctor.output.lines)
                }
                let taken = try TCPService.echo()
                try scenario.write("listen = \"127.0.0.1:\(taken.port)\"\n", to: file)
                let (first, firstLines) = try await run()
                #expect(first == .exited(78) && Self.checks(firstLines).contains("fail listen"), "\(firstLines)")
                try scenario.write(
                    "listen = \"127.0.0.1:\(try FreePorts.next())\"\nallow_ports = \"\(try FreePorts.next())\"\n",
                    to: file
                )
                let (second, secondLines) = try await run()
                #expect(second == .exited(0), "\(secondLines)")
                #expect(
                    Self.checks(secondLines).contains("warn front") && Self.checks(secondLines).contains("ok ports")
                )
                try scenario.write("listen = 5\n", to: file)
                let (third, thirdLines) = try await run()
                #expect(third == .exited(78) && Self.checks(thirdLines) == ["fail configuration"])
            }
        }

        @Test(
            "nginx's idle limit of 60 s is found, and takes as long as the longest silence",
            .enabled(if: TestRun.isSlow, "longer than a minute: CULVERT_SLOW=1"),
            .needs(.nginx)
        )
        func idle() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: ["--trusted-front", "127.0.0.1"])
                let front = try await FrontProgram.nginx.front(of: server.port, in: scenario)
                let begin = ContinuousClock.now
                let (status, lines) = try await Self.doctor(
                    scenario,
                    [front.url, "--ca", front.authority, "--idle", "75s"],
                    within: .seconds(150)
                )
                #expect(status == .exited(0))
                let idle = try #require(lines.first { $0.contains("  idle ") })
                expect(idle, says: "an idle WebSocket is cut after ", ", and kept for ")
                #expect(Self.checks(lines).contains("ok age"))
                #expect(begin.duration(to: .now) < .seconds(100))
            }
        }
    }
}
