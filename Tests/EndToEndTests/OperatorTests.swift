import Foundation
import Platform
import TestSupport
import Testing

extension EndToEnd {
    /// Rights and limits in the server's configuration: clients, ports, durations and visitors.
    @Suite(.serialized)
    struct OperatorTests {
        /// A server with a configuration file that a test rewrites.
        private struct ConfiguredServer {
            let process: ChildProcess
            let url: String
            let path: String
            let scenario: Scenario

            func write(_ text: String) throws {
                try scenario.write("listen = \"127.0.0.1:0\"\npublic_address = \"127.0.0.1\"\n" + text, to: path)
            }

            /// Rewrites the configuration, and waits until the server logs the result of the reload.
            func reload(_ text: String, says word: String = "reloaded") async throws {
                try write(text)
                let before = process.errors.lines.count { $0.contains(word) }
                process.signal(SIGHUP)
                try await eventually("the server says \(word)") {
                    process.errors.lines.count { $0.contains(word) } > before
                }
            }
        }

        /// A client's token file, and its lines in the server's configuration.
        private struct Credentials {
            let file: String
            let lines: String

            init(_ name: String, _ scenario: Scenario, rights: String = "") async throws {
                file = "\(scenario.directory)/token-\(name)"
                try scenario.write("token-of-\(name)-0123456789abcdef\n", to: file)
                let process = try scenario.culvert("token", ["token", "--from", file])
                _ = try await process.exitStatus()
                guard
                    let verifier = process.output.lines.first(where: { $0.hasPrefix("verifier") })?.split(
                        separator: " "
                    ).last
                else { throw ScenarioFailure(description: "no verifier: \(process)") }
                lines = "[[client]]\nname = \"\(name)\"\nverifier = \"\(verifier)\"\n\(rights)\n"
            }
        }

        @Test("A range of 256 ports creates 256 tunnels, each to its own service port", arguments: [true, false])
        func range(isInFile: Bool) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let (ports, services) = (try FreePorts.run(of: 256), try FreePorts.run(of: 256))
                let (remote, local) = ("\(ports)-\(ports + 255)", "127.0.0.1:\(services)-\(services + 255)")
                let places: [UInt16] = [0, 100, 255]
                let pages = try places.map { place in
                    try TCPService(port: services + place) { socket in
                        try socket.send("service \(place)")
                        try socket.finishSending()
                    }
                }
                let file = "\(scenario.directory)/client.toml"
                try scenario.write(
                    "url = \"\(server.url)\"\n[[tunnel]]\nremote = \"\(remote)\"\nlocal = \"\(local)\"\n",
                    to: file
                )
                let arguments = isInFile ? ["--config", file] : [server.url, "-R", "\(remote):\(local)"]
                let client = try scenario.culvert("client", ["client", "--token-file", scenario.tokenFile] + arguments)
                for place in places {
                    _ = try await client.line { $0.hasSuffix(" -> 127.0.0.1:\(services + place)") }
                    let text = try await onThread { try TCPSocket(port: ports + place).drain().bytes }
                    #expect(String(decoding: text, as: UTF8.self) == "service \(place)")
                }
                try await eventually("all tunnels are public") {
                    client.output.lines.count { $0.hasPrefix("tunnel ") } == 256
                }
                for page in pages { page.stop() }
            }
        }

        private func server(
            _ text: String,
            in scenario: Scenario,
            public address: String = "public_address = \"127.0.0.1\"\n"
        ) async throws -> ConfiguredServer {
            let path = "\(scenario.directory)/server.toml"
            let listen = "listen = \"127.0.0.1:0\"\n\(address)"
            try scenario.write(listen + text, to: path)
            let process = try scenario.culvert("server", ["server", "--config", path])
            let line = try await process.line { $0.hasPrefix("listening ") }
            let url = String(line.dropFirst("listening ".count))
            return ConfiguredServer(process: process, url: url, path: path, scenario: scenario)
        }

        private func client(
            _ configured: ConfiguredServer,
            _ credentials: Credentials,
            _ options: [String]
        ) throws -> CulvertClient {
            let arguments = ["client", configured.url, "--token-file", credentials.file] + options
            return CulvertClient(process: try configured.scenario.culvert("client", arguments))
        }

        @Test("A20 A22 a reload admits new clients and ends removed ones, and all other streams continue")
        func reload() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (kept, removed) = try await (Credentials("kept", scenario), Credentials("removed", scenario))
                let added = try await Credentials("added", scenario)
                let configured = try await server(kept.lines + removed.lines, in: scenario)
                let remote = ["-R", "0:127.0.0.1:\(echo.port)"]
                let publicPort = try await client(configured, kept, remote).tunnel(to: echo.port)
                let refused = try client(configured, removed, remote + ["--exit-on-refusal"])
                _ = try await refused.tunnel(to: echo.port)
                let retrying = try client(configured, removed, remote + ["--name", "retrying"])
                _ = try await retrying.tunnel(to: echo.port)
                let visitor = try TCPSocket(port: publicPort)
                try visitor.send("before")
                #expect(try visitor.receive(exactly: 6) == Array("before".utf8))

                try await configured.reload(kept.lines + added.lines)
                #expect(try await refused.process.exitStatus() == .exited(77))
                #expect(refused.process.errors.text.contains("removed this client"), "\(refused.process)")
                // The operator may have made a mistake, so a client that has worked tries again after a minute.
                let line = try await retrying.process.logLine { $0.contains("does not accept this token") }
                #expect(line.contains("again_in=\"6") || line.contains("again_in=\"7"), "\(line)")
                #expect(retrying.process.exitStatus == nil)
                try await expectEcho(through: client(configured, added, remote).tunnel(to: echo.port))
                try visitor.send("after")
                #expect(try visitor.receive(exactly: 5) == Array("after".utf8))
                visitor.close()
            }
        }

        @Test("P18 a reload of an invalid configuration changes nothing, and the error names its line")
        func brokenReload() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let client = try await Credentials("workshop", scenario)
                let configured = try await server(client.lines, in: scenario)
                try await configured.reload("nonsense = 1\n", says: "not reloaded")
                #expect(configured.process.errors.text.contains("server.toml:3: nonsense"))
                let tunnel = try self.client(configured, client, ["-R", "0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: tunnel.tunnel(to: echo.port))
            }
        }

        @Test(
            "A disabled or expired client gets the reason once it has authenticated",
            arguments: [("enabled = false", "disabled"), ("expires = \"2001-01-01\"", "expired")]
        )
        func notAdmitted(_ rights: String, _ word: String) async throws {
            try await Scenario.run { scenario in
                let credentials = try await Credentials("late", scenario, rights: rights)
                let configured = try await server(credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:localhost:9"])
                #expect(try await client.process.exitStatus() == .exited(77))
                #expect(client.process.errors.text.contains(word), "\(client.process)")
            }
        }

        @Test("A22 P2 ports, addresses and numbers of tunnels beyond a client's rights are refused with 77")
        func rights() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let rights = "allow_ports = \"\(port)\"\nallow_addresses = [\"127.0.0.1\"]\ntunnels = 1"
                let credentials = try await Credentials("narrow", scenario, rights: rights)
                let configured = try await server(credentials.lines, in: scenario)
                let echo = try TCPService.echo()
                let rows = [
                    (["-R", "\(port == 65_535 ? 1_024 : port + 1):localhost:9"], "not allowed"),
                    (["-R", "127.0.0.2:\(port):localhost:9"], "port not allowed"),
                    (
                        ["-R", "\(port):localhost:9", "-R", "0:localhost:10", "--exit-on-refusal"],
                        "may have 1 tunnels"
                    ),
                ]
                for (options, word) in rows {
                    let client = try client(configured, credentials, options)
                    #expect(try await client.process.exitStatus() == .exited(77), "\(options)")
                    #expect(client.process.errors.text.contains(word), "\(client.process)")
                }
                let right = try client(configured, credentials, ["-R", "\(port):127.0.0.1:\(echo.port)"])
                try await expectEcho(through: right.tunnel(to: echo.port))
            }
        }

        @Test("Only clients with allow_loopback, and the token of --token-file, get ports on the server's loopback")
        func loopback() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                for address in ["127.0.0.1", "localhost", "127.9.9.9"] {
                    let remote = ["-R", "\(address):0:127.0.0.1:\(echo.port)"]
                    let without = try await Credentials("without\(address)", scenario)
                    let with = try await Credentials("with\(address)", scenario, rights: "allow_loopback = true")
                    let configured = try await server(without.lines + with.lines, in: scenario, public: "")
                    let refused = try client(configured, without, remote)
                    #expect(try await refused.process.exitStatus() == .exited(77))
                    #expect(refused.process.errors.text.contains("allow_loopback = true"), "\(refused.process)")
                    _ = try await client(configured, with, remote).tunnel(to: echo.port)
                    // A bind to all addresses needs no right to loopback.
                    _ = try await client(configured, without, ["-R", "0:127.0.0.1:\(echo.port)"]).tunnel(to: echo.port)
                }
                let alone = try scenario.culvert(
                    "alone",
                    ["server", "--listen", "127.0.0.1:0", "--token-file", scenario.tokenFile]
                )
                let line = try await alone.line { $0.hasPrefix("listening ") }
                let remotes = ["127.0.0.1:0:127.0.0.1:\(echo.port)"]
                let own = try scenario.client(String(line.dropFirst("listening ".count)), remotes)
                try await expectEcho(through: own.tunnel(to: echo.port))
            }
        }

        @Test("A refused tunnel does not end a client with a working tunnel, and status and readiness name it")
        func oneOfTwo() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario, rights: "allow_ports = \"30000-31000\"")
                let configured = try await server(credentials.lines, in: scenario)
                let socket = "\(scenario.directory)/client.sock"
                let client = try client(
                    configured,
                    credentials,
                    ["-R", "80:127.0.0.1:1", "-R", "0:127.0.0.1:\(echo.port)", "--admin", "unix:\(socket)"]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                let line = try await client.process.logLine { $0.contains("the server refused a tunnel") }
                #expect(line.contains("in=\"60.0 s\""), "\(line)")
                let ready = try await onThread { try TCPSocket(unixPath: socket).request("GET", "/readyz") }
                #expect(ready.status == 503 && ready.body.contains("tunnel 80:127.0.0.1:1 is not public"), "\(ready)")
                let status = try scenario.culvert("status", ["status", "--admin", "unix:\(socket)"])
                _ = try await status.exitStatus()
                #expect(status.output.text.contains("not public: port not allowed"), "\(status)")
                #expect(client.process.exitStatus == nil)
            }
        }

        @Test(
            "A port that was revoked and granted again is public directly after the client's SIGHUP"
        )
        func givenBack() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario)
                let configured = try await server(credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: client.tunnel(to: echo.port))
                try await configured.reload("allow_ports = \"1\"\n" + credentials.lines)
                _ = try await client.process.logLine { $0.contains("the server refused a tunnel") }
                try await configured.reload(credentials.lines)
                client.process.signal(SIGHUP)
                try await expectEcho(through: client.tunnel(to: echo.port, skip: 1))
            }
        }

        @Test("A reload logs how many visitors keep the old limits")
        func oldLimits() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario)
                let configured = try await server(credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let visitor = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("x")
                    _ = try visitor.receive(exactly: 1)
                    return visitor
                }
                let rights = "bandwidth = \"1 MB/s\"\nvisitor_idle = \"2 h\"\nvisitor_deny = [\"127.0.0.1\"]\n"
                try await configured.reload(credentials.lines + rights)
                let line = try await configured.process.logLine { $0.contains("present visitors keep the old ones") }
                #expect(line.contains("visitors_that_go_on=1"), "\(line)")
                #expect(line.contains("visitor_deny,visitor_idle"), "\(line)")
                _ = try await configured.process.logLine { $0.contains("new bandwidth holds for new visitors") }
                try await expectReset(port)
                visitor.close()
            }
        }

        @Test("P5 a port is kept for a disconnected client, and another client's refusal names the remaining time")
        func keptPort() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (owner, other) = try await (Credentials("owner", scenario), Credentials("other", scenario))
                let configured = try await server(owner.lines + other.lines, in: scenario)
                let remote = ["-R", "\(try FreePorts.next()):127.0.0.1:\(echo.port)"]
                let first = try client(configured, owner, remote)
                _ = try await first.tunnel(to: echo.port)
                let waiting = try client(configured, other, remote)
                _ = try await waiting.process.logLine { $0.contains("is held by owner since") }
                await first.process.kill()
                _ = try await waiting.process.logLine {
                    $0.contains("is kept for owner, which was cut off, for another")
                }
                try await expectEcho(through: client(configured, owner, remote).tunnel(to: echo.port))
            }
        }

        @Test("A port of a client that ended its session is free at once")
        func freePort() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (owner, other) = try await (Credentials("owner", scenario), Credentials("other", scenario))
                let configured = try await server(owner.lines + other.lines, in: scenario)
                let remote = ["-R", "\(try FreePorts.next()):127.0.0.1:\(echo.port)"]
                let first = try client(configured, owner, remote)
                _ = try await first.tunnel(to: echo.port)
                first.process.signal(SIGTERM)
                #expect(try await first.process.exitStatus() == .exited(0))
                try await expectEcho(through: client(configured, other, remote).tunnel(to: echo.port))
            }
        }

        @Test("X16 with a limit of one visitor a second one is reset, and admitted after the first has closed")
        func oneVisitor() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("one", scenario)
                let configured = try await server("visitor_connections = 1\n" + credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let first = try TCPSocket(port: port)
                try first.send("x")
                #expect(try first.receive(exactly: 1) == [0x78])
                try await expectReset(port)
                first.close()
                try await eventually("the next visitor is admitted") {
                    guard let next = try? TCPSocket(port: port, timeout: .seconds(2)) else { return false }
                    defer { next.close() }
                    try? next.send("y")
                    return (try? next.receive(exactly: 1)) == [0x79]
                }
            }
        }

        @Test("Visitors from blocks that the client's configuration denies are reset")
        func denied() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("deny", scenario)
                let configured = try await server(credentials.lines, in: scenario)
                let path = "\(scenario.directory)/client.toml"
                try scenario.write(
                    """
                    url = "\(configured.url)"
                    token_file = "\(credentials.file)"
                    [[tunnel]]
                    remote = "0"
                    local = "127.0.0.1:\(echo.port)"
                    visitor_deny = ["127.0.0.0/8"]
                    """,
                    to: path
                )
                let client = CulvertClient(process: try scenario.culvert("client", ["client", "--config", path]))
                try await expectReset(client.tunnel(to: echo.port))
                _ = try await configured.process.logLine { $0.contains("visitor refused") }
                #expect(echo.accepted == 0)
            }
        }

        @Test("M25 a drain ends after the configured time, and its visitors are reset")
        func drainTime() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("drain", scenario)
                let configured = try await server(credentials.lines + "[limits]\ndrain_time = \"1 s\"\n", in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let visitor = try TCPSocket(port: try await client.tunnel(to: echo.port))
                try visitor.send("x")
                #expect(try visitor.receive(exactly: 1) == [0x78])
                let began = ContinuousClock.now
                configured.process.signal(SIGTERM)
                #expect(try await configured.process.exitStatus() == .exited(0))
                let taken = began.duration(to: .now)
                #expect(taken > .milliseconds(950) && taken < .seconds(9), "\(taken)")
                #expect(try visitor.drain().ending == .reset)
            }
        }

        @Test("X5 an idle visitor is reset after the configured time")
        func silentVisitor() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("idle", scenario)
                let configured = try await server("visitor_idle = \"1 s\"\n" + credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                try await onThread {
                    let visitor = try TCPSocket(port: port, timeout: .seconds(10))
                    try visitor.send("x")
                    try require(try visitor.receive(exactly: 1) == [0x78], "no echo")
                    try require(try visitor.drain().ending == .reset, "no reset")
                }
            }
        }

        @Test("A bandwidth limit holds in both directions")
        func bandwidth() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("slow", scenario, rights: "bandwidth = \"1 MB/s\"")
                let configured = try await server(credentials.lines, in: scenario)
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let began = ContinuousClock.now
                try await onThread {
                    let visitor = try TCPSocket(port: port, timeout: .seconds(20))
                    Thread.detachNewThread { try? visitor.send(Array(repeating: 7, count: 2_000_000)) }
                    _ = try visitor.receive(exactly: 2_000_000)
                    visitor.close()
                }
                let taken = began.duration(to: .now)
                // The limit permits a burst of a quarter of a second.
                #expect(taken > .milliseconds(1_500) && taken < .seconds(6), "\(taken)")
            }
        }

        @Test("P13 the PROXY protocol header gives the service the visitor's address", arguments: ["v1", "v2"])
        func proxyProtocol(_ version: String) async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    seen.put(try socket.receiveToEnd())
                }
                let server = try await scenario.server()
                let path = "\(scenario.directory)/client.toml"
                try scenario.write(
                    """
                    url = "\(server.url)"
                    [[tunnel]]
                    remote = "0"
                    local = "127.0.0.1:\(service.port)"
                    proxy_protocol = "\(version)"
                    """,
                    to: path
                )
                let process = try scenario.culvert(
                    "client",
                    ["client", "--config", path, "--token-file", scenario.tokenFile]
                )
                let port = try await CulvertClient(process: process).tunnel(to: service.port)
                let visitor = try TCPSocket(port: port)
                try visitor.send("hello")
                try visitor.finishSending()
                let bytes = try await seen.next("the bytes at the service")
                let local = visitor.localPort
                if version == "v1" {
                    #expect(
                        String(decoding: bytes, as: UTF8.self)
                            == "PROXY TCP4 127.0.0.1 127.0.0.1 \(local) \(port)\r\nhello"
                    )
                } else {
                    let ports = [local, port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
                    let expected: [UInt8] =
                        [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12]
                        + [127, 0, 0, 1, 127, 0, 0, 1] + ports + Array("hello".utf8)
                    #expect(bytes == expected)
                }
            }
        }

        @Test("A trusted front before the public ports names the visitor; without a header its connection is closed")
        func frontOnPublicPorts() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("front", scenario)
                let configured = try await server(
                    "trusted_front = \"127.0.0.1\"\npublic_proxy_protocol = true\nvisitor_deny = \"6.6.6.6\"\n"
                        + credentials.lines,
                    in: scenario
                )
                let client = try client(configured, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let front = try TCPSocket(port: port)
                try front.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\nhi")
                #expect(try front.receive(exactly: 2) == Array("hi".utf8))
                front.close()
                _ = try await client.process.logLine { $0.contains("visitor=192.0.2.7:4711") }
                for text in ["PROXY TCP4 6.6.6.6 198.51.100.1 4711 80\r\nhi", "GET / HTTP/1.1\r\n\r\n"] {
                    let cut = try TCPSocket(port: port)
                    try cut.send(text)
                    let (bytes, _) = try cut.drain()
                    #expect(bytes.isEmpty)
                    cut.close()
                }
            }
        }

        @Test("A server with --tls-client-ca accepts certificates of that CA, and no others", .needs(.openssl))
        func clientCertificates() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let certificate = try await Certificate.make(in: scenario)
                let stranger = try await Certificate.make(in: scenario, issuer: "Another CA")
                let server = try await scenario.server(options: [
                    "--tls-certificate", certificate.certificate, "--tls-key", certificate.key, "--tls-client-ca",
                    certificate.authority,
                ])
                let options = ["--ca", certificate.authority]
                for wrong in [[], ["--tls-certificate", stranger.certificate, "--tls-key", stranger.key]] {
                    let client = try scenario.client(
                        server.url,
                        ["0:127.0.0.1:\(echo.port)"],
                        options: options + wrong + ["--max-retries", "0"]
                    )
                    #expect(try await client.process.exitStatus() == .exited(69))
                    #expect(client.process.errors.text.contains("--tls-certificate"), "\(client.process)")
                }
                let own = ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"], options: options + own)
                try await expectEcho(through: client.tunnel(to: echo.port))
            }
        }

        @Test(
            "A renewed certificate is used from the next connection on, and existing streams continue",
            .needs(.openssl)
        )
        func renewedCertificate() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let old = try await Certificate.make(in: scenario)
                let new = try await Certificate.make(in: scenario, issuer: "The next CA")
                let server = try await scenario.server(options: [
                    "--tls-certificate", old.certificate, "--tls-key", old.key,
                ])
                let remote = ["0:127.0.0.1:\(echo.port)"]
                let first = try scenario.client(server.url, remote, options: ["--ca", old.authority])
                let visitor = try TCPSocket(port: try await first.tunnel(to: echo.port))
                for (from, to) in [(new.certificate, old.certificate), (new.key, old.key)] {
                    try scenario.write(try String(contentsOfFile: from, encoding: .utf8), to: to)
                }
                server.process.signal(SIGHUP)
                _ = try await server.process.logLine { $0.contains("reloaded") }
                let second = try scenario.client(
                    server.url,
                    remote,
                    options: ["--ca", new.authority, "--ca-only", "--name", "second"]
                )
                try await expectEcho(through: second.tunnel(to: echo.port))
                try visitor.send("still here")
                #expect(try visitor.receive(exactly: 10) == Array("still here".utf8))
                visitor.close()
            }
        }

        private func expectReset(_ port: UInt16) async throws {
            try await onThread {
                // The kernel accepts before the server checks the address.
                guard let visitor = try? TCPSocket(port: port) else { return }
                let ending = try visitor.drain()
                try require(ending.bytes.isEmpty && ending.ending == .reset, "the visitor was not reset: \(ending)")
            }
        }
    }
}
