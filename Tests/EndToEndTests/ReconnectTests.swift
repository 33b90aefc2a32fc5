import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Reconnections of the client, the ownership of ports, and the end of both roles.
    @Suite(.serialized)
    struct ReconnectTests {
        @Test("After a server is killed and restarted, the client reconnects and reports its tunnel")
        func serverKilled() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let wanted = try FreePorts.next()
                let first = try await scenario.server()
                let client = try scenario.client(first.url, ["\(wanted):127.0.0.1:\(echo.port)"])
                #expect(try await client.tunnel(to: echo.port) == wanted)
                try await expectEcho(through: wanted)
                await first.process.kill()
                let second = try await scenario.server(port: first.port)
                #expect(try await client.tunnel(to: echo.port, skip: 1) == wanted)
                try await expectEcho(through: wanted)
                #expect(second.process.exitStatus == nil)
            }
        }

        @Test("N17 after a server is stopped and restarted, the client reconnects")
        func serverRestarted() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let wanted = try FreePorts.next()
                let first = try await scenario.server()
                let client = try scenario.client(first.url, ["\(wanted):127.0.0.1:\(echo.port)"])
                _ = try await client.tunnel(to: echo.port)
                first.process.signal(SIGTERM)
                #expect(try await first.process.exitStatus() == .exited(0))
                _ = try await scenario.server(port: first.port)
                #expect(try await client.tunnel(to: echo.port, skip: 1) == wanted)
                try await expectEcho(through: wanted)
            }
        }

        @Test("N27 a client that starts before its server connects later")
        func clientFirst() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["0:127.0.0.1:\(echo.port)"])
                _ = try await client.process.logLine { $0.contains("refused") }
                _ = try await scenario.server(port: port)
                try await expectEcho(through: client.tunnel(to: echo.port))
            }
        }

        @Test("After a proxy is killed and restarted, the tunnel works again", .needs(.squid))
        func proxyRestarted() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario)
                let wanted = try FreePorts.next()
                let client = try scenario.client(
                    server.url,
                    ["\(wanted):127.0.0.1:\(echo.port)"],
                    options: ["--proxy", squid.url]
                )
                _ = try await client.tunnel(to: echo.port)
                try await expectEcho(through: wanted)
                await squid.process.kill()
                _ = try await client.process.logLine { $0.contains("proxy \(squid.url)") && $0.contains("refused") }
                let again = try await squid.restarted(in: scenario)
                try await eventuallyEchoes(through: wanted, within: .seconds(60))
                await client.process.end()
                try await eventually("the second Squid logs the tunnel") {
                    again.connects(to: server.port).contains { $0.contains("TCP_TUNNEL/200") }
                }
            }
        }

        @Test("A client that is killed and restarted gets its port back at once")
        func clientKilled() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let wanted = try FreePorts.next()
                let server = try await scenario.server()
                let remotes = ["\(wanted):127.0.0.1:\(echo.port)"]
                let first = try scenario.client(server.url, remotes)
                _ = try await first.tunnel(to: echo.port)
                await first.process.kill()
                let second = try scenario.client(server.url, remotes)
                #expect(try await second.tunnel(to: echo.port, within: .seconds(5)) == wanted)
                try await expectEcho(through: wanted)
            }
        }

        @Test("N14 P4 the same client takes its port over from a dead connection")
        func takeOver() async throws {
            try await Scenario.run { scenario in
                let (old, new) = (try TCPService.web(page: "old"), try TCPService.web(page: "new"))
                let wanted = try FreePorts.next()
                let server = try await scenario.server()
                let first = try scenario.client(
                    server.url,
                    ["\(wanted):127.0.0.1:\(old.port)"],
                    options: ["--name", "desk"]
                )
                _ = try await first.tunnel(to: old.port)
                try await expectPage("old", through: wanted)
                first.process.signal(SIGSTOP)
                let second = try scenario.client(
                    server.url,
                    ["\(wanted):127.0.0.1:\(new.port)"],
                    options: ["--name", "desk"]
                )
                #expect(try await second.tunnel(to: new.port, within: .seconds(8)) == wanted)
                try await expectPage("new", through: wanted)
            }
        }

        @Test(
            "A client on another machine gets the port back at once with the same instance, and waits with another",
            .needs(.unshare),
            .enabled(if: geteuid() == 0, "needs root to mount another machine id"),
            arguments: [true, false]
        )
        func replacement(hasInstance: Bool) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let wanted = try FreePorts.next()
                let instance = hasInstance ? ["--instance", "\(scenario.directory)/instance"] : []
                let arguments =
                    [
                        "client", server.url, "-R", "\(wanted):127.0.0.1:\(echo.port)", "--token-file",
                        scenario.tokenFile,
                    ]
                    + instance
                func client(_ machine: String) throws -> CulvertClient {
                    let id = "\(scenario.directory)/machine-\(machine)"
                    try scenario.write(String(repeating: machine, count: 32) + "\n", to: id)
                    let script = "mount --bind \"$0\" /etc/machine-id && exec \"$@\""
                    let process = try scenario.start(
                        "client \(machine)",
                        Program.unshare.path ?? "unshare",
                        ["-m", "sh", "-c", script, id, CulvertExecutable.path()] + arguments
                    )
                    return CulvertClient(process: process)
                }
                let first = try client("a")
                _ = try await first.tunnel(to: echo.port)
                await first.process.kill()
                let second = try client("b")
                guard hasInstance else {
                    _ = try await second.process.logLine { $0.contains("port \(wanted) is kept for") }
                    return
                }
                #expect(try await second.tunnel(to: echo.port, within: .seconds(5)) == wanted)
                try await expectEcho(through: wanted)
            }
        }

        @Test("P4 a second process of a client does not take the port from a living one")
        func noTakeOverWhileAlive() async throws {
            try await Scenario.run { scenario in
                let (old, new) = (try TCPService.web(page: "old"), try TCPService.web(page: "new"))
                let wanted = try FreePorts.next()
                let server = try await scenario.server()
                let first = try scenario.client(server.url, ["\(wanted):127.0.0.1:\(old.port)"])
                _ = try await first.tunnel(to: old.port)
                let second = try scenario.client(server.url, ["\(wanted):127.0.0.1:\(new.port)"])
                _ = try await second.process.logLine { $0.contains("\(wanted)") }
                for _ in 0..<5 { try await expectPage("old", through: wanted) }
                #expect(second.process.output.lines.isEmpty)
            }
        }

        @Test("P3 another client that asks for a held port is refused and logged, and never shares the port")
        func otherClientsDoNotShare() async throws {
            try await Scenario.run { scenario in
                let (held, requested) = (try TCPService.web(page: "held"), try TCPService.web(page: "requested"))
                let wanted = try FreePorts.next()
                let server = try await scenario.server()
                let first = try scenario.client(
                    server.url,
                    ["\(wanted):127.0.0.1:\(held.port)"],
                    options: ["--name", "first"]
                )
                _ = try await first.tunnel(to: held.port)
                let second = try scenario.client(
                    server.url,
                    ["\(wanted):127.0.0.1:\(requested.port)"],
                    options: ["--name", "second"]
                )
                _ = try await second.process.logLine { $0.contains("\(wanted)") }
                _ = try await server.process.logLine { $0.contains("\(wanted)") && $0.lowercased().contains("refus") }
                for _ in 0..<10 { try await expectPage("held", through: wanted) }
                #expect(second.process.output.lines.isEmpty)
                #expect(second.process.exitStatus == nil, "the client does not retry")
                #expect(requested.accepted == 0)
                await first.process.end()
                _ = try await second.tunnel(to: requested.port, within: .seconds(60))
                try await expectPage("requested", through: wanted)
            }
        }

        @Test("N26 SIGTERM ends either role with 0, at once if no stream is open", arguments: [SIGTERM, SIGINT])
        func signals(_ number: Int32) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, client, port) = try await scenario.tunnel(to: echo)
                try await expectEcho(through: port)
                // After this time the client would dial at once if it lost the session.
                try await Task.sleep(for: .milliseconds(700))
                for process in [client.process, server.process] {
                    process.signal(number)
                    #expect(try await process.exitStatus(within: .seconds(5)) == .exited(0), "\(process.name)")
                    #expect(!process.errors.text.contains("dialling again"), "\(process)")
                }
            }
        }

        @Test("N26 SIGTERM ends a client without a session, during a dial and between dials")
        func signalWithoutSession() async throws {
            try await Scenario.run { scenario in
                let gate = Gate()
                let silent = try TCPService.silent(until: gate)
                let dialling = try scenario.client("ws://127.0.0.1:\(silent.port)", ["0:localhost:9"])
                try await eventually("the client has connected") { silent.accepted == 1 }
                let waiting = try scenario.client("ws://127.0.0.1:\(FreePorts.next())", ["0:localhost:9"])
                _ = try await waiting.process.logLine(skip: 2) { $0.contains("refused") }
                for client in [dialling, waiting] {
                    client.process.signal(SIGTERM)
                    let end = try await client.process.exitStatus(within: .seconds(5))
                    #expect(end == .exited(0), "\(client.process)")
                }
                gate.open()
            }
        }

        @Test("A drain finishes existing streams and accepts no new ones", arguments: ["server", "client"])
        func drain(_ role: String) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, client, port) = try await scenario.tunnel(to: echo)
                let process = role == "server" ? server.process : client.process
                let visitor = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("before")
                    _ = try visitor.receive(exactly: 6)
                    return visitor
                }
                process.signal(SIGTERM)
                try await eventually("new visitors are not served") { !Self.answers(port) }
                #expect(process.exitStatus == nil)
                let answer = try await onThread {
                    try visitor.send("and after")
                    try visitor.finishSending()
                    return String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
                }
                #expect(answer == "and after")
                visitor.close()
                #expect(try await process.exitStatus(within: .seconds(10)) == .exited(0))
            }
        }

        @Test("N26 a second SIGTERM ends a drain at once")
        func secondSignal() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (server, client, port) = try await scenario.tunnel(to: echo)
                let visitor = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("before")
                    _ = try visitor.receive(exactly: 6)
                    return visitor
                }
                for process in [client.process, server.process] {
                    process.signal(SIGTERM)
                    if process.exitStatus == nil {
                        _ = try await process.logLine { $0.lowercased().contains("drain") || $0.contains("stop") }
                        process.signal(SIGTERM)
                    }
                    _ = try await process.exitStatus(within: .seconds(5))
                }
                visitor.close()
            }
        }

        /// Whether an echo comes back from a public port.
        static func answers(_ port: UInt16) -> Bool {
            guard let visitor = try? TCPSocket(port: port, timeout: .seconds(2)) else { return false }
            defer { visitor.close() }
            do {
                try visitor.send("x")
                return try visitor.receive(exactly: 1) == [UInt8(ascii: "x")]
            } catch {
                return false
            }
        }
    }
}

/// Waits until an echo through a public port succeeds.
func eventuallyEchoes(through port: UInt16, within limit: Duration) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        if try await onThread({ EndToEnd.ReconnectTests.answers(port) }) { return }
        if ContinuousClock.now > deadline {
            throw ScenarioFailure(description: "no echo through \(port) within \(limit)")
        }
        try await Task.sleep(for: .milliseconds(50))
    }
}
