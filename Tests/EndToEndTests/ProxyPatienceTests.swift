import Foundation
import TestSupport
import Testing

/// Proxies that keep their clients waiting. Mostly waiting, so beside everything else.
@Suite("Proxies that are slow by nature", .timeLimit(.minutes(3)))
struct ProxyPatienceTests {
    /// A client that must give a proxy up, and how long that took.
    static func wait(_ script: @escaping @Sendable (ScriptedProxy.Visit) throws -> Void) async throws -> (
        line: String, time: Duration
    ) {
        try await Scenario.play { scenario in
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

    @Test("A proxy that takes the request and says nothing costs 10 s, and the line says so")
    func silence() async throws {
        let (line, time) = try await Self.wait { _ = try $0.socket.drain() }
        expect(line, says: "did not answer in time", "socks5://")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("N25 a proxy that takes 9 s for its 200 is waited for")
    func slowConnect() async throws {
        try await Scenario.play { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let proxy = try ScriptedProxy { visit in
                guard let request = try visit.request() else { return }
                Thread.sleep(forTimeInterval: 9)
                try visit.tunnel(request)
            }
            let client = try scenario.client(
                server.url,
                ["0:127.0.0.1:\(echo.port)"],
                options: ["--proxy", proxy.url, "--max-retries", "0"]
            )
            try await expectEcho(through: client.tunnel(to: echo.port))
        }
    }

    @Test("A head that trickles in without end does not hold the client longer than 10 s either (R7)")
    func trickle() async throws {
        let (line, time) = try await Self.wait { visit in
            _ = try visit.request()
            try visit.answer("HTTP/1.1 200 OK\r\n")
            while true {
                try visit.answer("X: y\r\n")
                Thread.sleep(forTimeInterval: 0.25)
            }
        }
        expect(line, says: "did not finish its answer in time")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("Interim answers for ever are no way to hold the client longer either (R7)")
    func interim() async throws {
        let (_, time) = try await Self.wait { visit in
            _ = try visit.request()
            while true {
                try visit.answer("HTTP/1.1 100 Continue\r\n\r\n")
                Thread.sleep(forTimeInterval: 3)
            }
        }
        #expect(time < .seconds(20), "it took \(time)")
    }

    @Test("A proxy that speaks no TLS where TLS is awaited, and says nothing, costs 10 s")
    func silentTLS() async throws {
        try await Scenario.play { scenario in
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

    @Test("The legs of one exchange share 10 s, also where each has a connection of its own (R7)")
    func slowLegs() async throws {
        let (line, time) = try await Self.wait { visit in
            guard let request = try visit.request() else { return }
            Thread.sleep(forTimeInterval: 6)
            let isFirst = request.field("Proxy-Authorization") == nil
            let status = isFirst ? "407 No\r\nProxy-Authenticate: Basic realm=x\r\nConnection: close" : "502 Late"
            try visit.answer("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n")
        }
        expect(line, says: "did not answer in time")
        #expect(time > .seconds(9) && time < .seconds(20), "it took \(time)")
    }

    @Test("A Kerberos server that does not answer is not waited for longer than the proxy waits", .needsRealm)
    func silentKerberos() async throws {
        try await Scenario.play { scenario in
            let (server, realm, squid, proxy) = try await EndToEnd.ProxyKerberosTests.scene(scenario, hasBasic: true)
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

    @Test("N10 a tunnel that the proxy cuts after 5 s without a byte is cut twice, and then kept alive by more pings")
    func idleCut() async throws {
        try await Scenario.play { scenario in
            let server = try await scenario.server()
            let proxy = try ScriptedProxy(patience: .seconds(5)) { visit in
                if let request = try visit.request() { try visit.tunnel(request, idle: true) }
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
            // The proxy's patience is the subject: it would have run out twice.
            try await Task.sleep(for: .seconds(12))
            try await expectEcho(through: wanted)
            #expect(proxy.requests.all.count == dials && dials == 3, "\(client.process)")
            #expect(client.process.output.lines.count == 1, "the tunnel was public all the time")
        }
    }
}
