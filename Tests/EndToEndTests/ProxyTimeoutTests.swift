import Foundation
import TestSupport
import Testing

/// Slow proxies. These tests usually wait, so they run beside all other suites.
@Suite("Timeouts of proxies", .timeLimit(.minutes(3)))
struct ProxyTimeoutTests {
    /// Runs a client that gives a proxy up.
    static func wait(_ script: @escaping @Sendable (ScriptedProxy.Connection) throws -> Void) async throws -> (
        line: String, time: Duration
    ) {
        try await Scenario.run { scenario in
            let proxy = try ScriptedProxy(script)
            let begin = ContinuousClock.now
            let line = try await scenario.expectEnd(
                69,
                from: "ws://127.0.0.1:1",
                ["--proxy", proxy.url, "--proxy-user", "paul:slow-Secret", "--max-retries", "0"],
                within: .seconds(40)
            )
            #expect(line.contains("proxy \(proxy.url): proxy: "), "\(line)")
            return (line, ContinuousClock.now - begin)
        }
    }

    @Test("A client gives up a silent proxy after 10 s, and the line says so")
    func silence() async throws {
        let (line, time) = try await Self.wait { _ = try $0.socket.drain() }
        expect(line, says: "did not answer in time", "socks5://")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("N25 a client waits for a proxy that answers after 9 s")
    func slowConnect() async throws {
        try await Scenario.run { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let proxy = try ScriptedProxy { connection in
                guard let request = try connection.request() else { return }
                Thread.sleep(forTimeInterval: 9)
                try connection.tunnel(request)
            }
            let client = try scenario.client(
                server.url,
                ["0:127.0.0.1:\(echo.port)"],
                options: ["--proxy", proxy.url, "--max-retries", "0"]
            )
            try await expectEcho(through: client.tunnel(to: echo.port))
        }
    }

    @Test("A client gives up a proxy's endless slow head after 10 s (R7)")
    func slowHead() async throws {
        let (line, time) = try await Self.wait { connection in
            _ = try connection.request()
            try connection.answer("HTTP/1.1 200 OK\r\n")
            while true {
                try connection.answer("X: y\r\n")
                Thread.sleep(forTimeInterval: 0.25)
            }
        }
        expect(line, says: "did not finish its answer in time")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("Interim answers do not extend the timeout (R7)")
    func interim() async throws {
        let (_, time) = try await Self.wait { connection in
            _ = try connection.request()
            while true {
                try connection.answer("HTTP/1.1 100 Continue\r\n\r\n")
                Thread.sleep(forTimeInterval: 3)
            }
        }
        #expect(time < .seconds(20), "it took \(time)")
    }

    @Test("A client gives up a TLS handshake with a silent proxy after 10 s")
    func silentTLS() async throws {
        try await Scenario.run { scenario in
            let proxy = try ScriptedProxy { _ = try $0.socket.drain() }
            let line = try await scenario.expectEnd(
                69,
                from: "ws://127.0.0.1:1",
                ["--proxy", proxy.url.replacing("http:", with: "https:"), "--max-retries", "0"],
                within: .seconds(40)
            )
            expect(line, says: "TLS to the proxy: no answer within 10 s", "http://")
        }
    }

    @Test("All requests of one CONNECT exchange share 10 s, even on separate connections (R7)")
    func slowLegs() async throws {
        let (line, time) = try await Self.wait { connection in
            guard let request = try connection.request() else { return }
            Thread.sleep(forTimeInterval: 6)
            let isFirst = request.field("Proxy-Authorization") == nil
            let status = isFirst ? "407 No\r\nProxy-Authenticate: Basic realm=x\r\nConnection: close" : "502 Late"
            try connection.answer("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n")
        }
        expect(line, says: "did not answer in time")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("An unresponsive Kerberos server does not prevent Basic within the proxy's timeout", .needsRealm)
    func silentKerberos() async throws {
        try await Scenario.run { scenario in
            let (server, realm, squid, proxy) = try await EndToEnd.ProxyKerberosTests.start(scenario, hasBasic: true)
            let user = EndToEnd.ProxyKerberosTests.user
            realm.process.signal(SIGSTOP)
            let client = try await scenario.expectPage(
                from: server.url,
                ["--proxy", proxy, "--proxy-user", "\(user):\(EndToEnd.ProxyKerberosTests.password)"],
                environment: realm.withKeytab(of: user)
            )
            await client.process.end()
            let line = try await eventually("Squid logs the tunnel") { squid.tunnels(to: server.port).first }
            #expect(line.hasSuffix(" \(user)"), "\(line)")
        }
    }

    @Test("N10 a proxy that cuts idle tunnels after 5 s does so twice, and then more frequent pings prevent it")
    func idleCut() async throws {
        try await Scenario.run { scenario in
            let server = try await scenario.server()
            let proxy = try ScriptedProxy(timeout: .seconds(5)) { connection in
                if let request = try connection.request() { try connection.tunnel(request, idle: true) }
            }
            let echo = try TCPService.echo()
            let wanted = try FreePorts.next()
            let client = try scenario.client(
                server.url,
                ["\(wanted):127.0.0.1:\(echo.port)"],
                options: ["--proxy", proxy.url]
            )
            #expect(try await client.tunnel(to: echo.port) == wanted)
            _ = try await client.process.logLine(within: .seconds(60)) { $0.contains("pinging more often") }
            _ = try await client.process.logLine(skip: 1) { $0.contains("session resumed") }
            try await expectEcho(through: wanted)
            let dials = proxy.requests.all.count
            // More than twice the proxy's timeout.
            try await Task.sleep(for: .seconds(12))
            try await expectEcho(through: wanted)
            #expect(proxy.requests.all.count == dials && dials == 3, "\(client.process)")
            #expect(client.process.output.lines.count == 1, "the tunnel stayed public")
        }
    }
}
