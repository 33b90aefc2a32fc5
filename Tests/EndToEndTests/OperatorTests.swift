import Foundation
import Platform
import TestSupport
import Testing

extension EndToEnd {
    /// What an operator decides: who may connect, for how long, to which ports, and what visitors are held to.
    @Suite(.serialized)
    struct OperatorTests {
        /// A server with a configuration of its own, which can be written anew.
        private struct Operated {
            let process: ChildProcess
            let url: String
            let path: String
            let scenario: Scenario

            func write(_ text: String) throws {
                try scenario.write("listen = \"127.0.0.1:0\"\npublic_address = \"127.0.0.1\"\n" + text, to: path)
            }

            /// Writes the configuration anew, and waits until the server says what came of it.
            func reload(_ text: String, says word: String = "reloaded") async throws {
                try write(text)
                let before = process.errors.lines.count { $0.contains(word) }
                process.signal(SIGHUP)
                try await eventually("the server says \(word)") {
                    process.errors.lines.count { $0.contains(word) } > before
                }
            }
        }

        /// A client's token, in a file, and its lines for the server's configuration.
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

        @Test("A range of 256 ports is as many tunnels, each to its own service's port", arguments: [true, false])
        func range(isInFile: Bool) async throws {
            try await Scenario.play { scenario in
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
                try await eventually("all are public") {
                    client.output.lines.count { $0.hasPrefix("tunnel ") } == 256
                }
                for page in pages { page.stop() }
            }
        }

        private func server(
            _ text: String,
            in scenario: Scenario,
            public address: String = "public_address = \"127.0.0.1\"\n"
        ) async throws -> Operated {
            let path = "\(scenario.directory)/server.toml"
            let listen = "listen = \"127.0.0.1:0\"\n\(address)"
            try scenario.write(listen + text, to: path)
            let process = try scenario.culvert("server", ["server", "--config", path])
            let line = try await process.line { $0.hasPrefix("listening ") }
            let url = String(line.dropFirst("listening ".count))
            return Operated(process: process, url: url, path: path, scenario: scenario)
        }

        private func client(
            _ operated: Operated,
            _ credentials: Credentials,
            _ options: [String]
        ) throws -> CulvertClient {
            let arguments = ["client", operated.url, "--token-file", credentials.file] + options
            return CulvertClient(process: try operated.scenario.culvert("client", arguments))
        }

        @Test("A20 A22 a reload lets new clients in and removed ones go, and everybody else's streams go on")
        func reload() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (stays, goes) = try await (Credentials("stays", scenario), Credentials("goes", scenario))
                let comes = try await Credentials("comes", scenario)
                let operated = try await server(stays.lines + goes.lines, in: scenario)
                let remote = ["-R", "0:127.0.0.1:\(echo.port)"]
                let staying = try await client(operated, stays, remote).tunnel(to: echo.port)
                let going = try client(operated, goes, remote + ["--exit-on-refusal"])
                _ = try await going.tunnel(to: echo.port)
                let patient = try client(operated, goes, remote + ["--name", "patient"])
                _ = try await patient.tunnel(to: echo.port)
                let visitor = try TCPSocket(port: staying)
                try visitor.send("before")
                #expect(try visitor.receive(exactly: 6) == Array("before".utf8))

                try await operated.reload(stays.lines + comes.lines)
                #expect(try await going.process.exitStatus() == .exited(77))
                #expect(going.process.errors.text.contains("removed this client"), "\(going.process)")
                // The operator may have made a mistake: a client that has worked asks again, slowly.
                let line = try await patient.process.logLine { $0.contains("does not accept this token") }
                #expect(line.contains("again_in=\"6") || line.contains("again_in=\"7"), "\(line)")
                #expect(patient.process.exitStatus == nil)
                try await expectEcho(through: client(operated, comes, remote).tunnel(to: echo.port))
                try visitor.send("after")
                #expect(try visitor.receive(exactly: 5) == Array("after".utf8))
                visitor.close()
            }
        }

        @Test("P18 a broken configuration changes nothing, and says so with its line")
        func brokenReload() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let client = try await Credentials("workshop", scenario)
                let operated = try await server(client.lines, in: scenario)
                try await operated.reload("nonsense = 1\n", says: "not reloaded")
                #expect(operated.process.errors.text.contains("server.toml:3: nonsense"))
                let tunnel = try self.client(operated, client, ["-R", "0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: tunnel.tunnel(to: echo.port))
            }
        }

        @Test(
            "A client that may not be here is told why, once it has proved who it is",
            arguments: [("enabled = false", "disabled"), ("expires = \"2001-01-01\"", "expired")]
        )
        func shutOut(_ rights: String, _ word: String) async throws {
            try await Scenario.play { scenario in
                let credentials = try await Credentials("late", scenario, rights: rights)
                let operated = try await server(credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:localhost:9"])
                #expect(try await client.process.exitStatus() == .exited(77))
                #expect(client.process.errors.text.contains(word), "\(client.process)")
            }
        }

        @Test("A22 P2 ports, addresses and a number of tunnels that a client has no right to are refused with 77")
        func rights() async throws {
            try await Scenario.play { scenario in
                let port = try FreePorts.next()
                let rights = "allow_ports = \"\(port)\"\nallow_addresses = [\"127.0.0.1\"]\ntunnels = 1"
                let credentials = try await Credentials("narrow", scenario, rights: rights)
                let operated = try await server(credentials.lines, in: scenario)
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
                    let client = try client(operated, credentials, options)
                    #expect(try await client.process.exitStatus() == .exited(77), "\(options)")
                    #expect(client.process.errors.text.contains(word), "\(client.process)")
                }
                let right = try client(operated, credentials, ["-R", "\(port):127.0.0.1:\(echo.port)"])
                try await expectEcho(through: right.tunnel(to: echo.port))
            }
        }

        @Test("the server's loopback is for clients with allow_loopback, and for the token of --token-file alone")
        func loopback() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                for address in ["127.0.0.1", "localhost", "127.9.9.9"] {
                    let remote = ["-R", "\(address):0:127.0.0.1:\(echo.port)"]
                    let without = try await Credentials("without\(address)", scenario)
                    let with = try await Credentials("with\(address)", scenario, rights: "allow_loopback = true")
                    let operated = try await server(without.lines + with.lines, in: scenario, public: "")
                    let refused = try client(operated, without, remote)
                    #expect(try await refused.process.exitStatus() == .exited(77))
                    #expect(refused.process.errors.text.contains("allow_loopback = true"), "\(refused.process)")
                    _ = try await client(operated, with, remote).tunnel(to: echo.port)
                    // Not on all addresses: those are no trusted ones.
                    _ = try await client(operated, without, ["-R", "0:127.0.0.1:\(echo.port)"]).tunnel(to: echo.port)
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

        @Test("a refused tunnel does not end a client whose other tunnel works, and status and readiness name it")
        func oneOfTwo() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario, rights: "allow_ports = \"30000-31000\"")
                let operated = try await server(credentials.lines, in: scenario)
                let socket = "\(scenario.directory)/client.sock"
                let client = try client(
                    operated,
                    credentials,
                    ["-R", "80:127.0.0.1:1", "-R", "0:127.0.0.1:\(echo.port)", "--admin", "unix:\(socket)"]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                let line = try await client.process.logLine { $0.contains("the server refused a tunnel") }
                #expect(line.contains("in_s=60"), "\(line)")
                let ready = try await onThread { try TCPSocket(unixPath: socket).request("GET", "/readyz") }
                #expect(ready.status == 503 && ready.body.contains("tunnel 80:127.0.0.1:1 is not public"), "\(ready)")
                let status = try scenario.culvert("status", ["status", "--admin", "unix:\(socket)"])
                _ = try await status.exitStatus()
                #expect(status.output.text.contains("not public: port not allowed"), "\(status)")
                #expect(client.process.exitStatus == nil)
            }
        }

        @Test(
            "a port that was taken away and given back is public as soon as the client is told to ask, and not 15 min later"
        )
        func givenBack() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario)
                let operated = try await server(credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: client.tunnel(to: echo.port))
                try await operated.reload("allow_ports = \"1\"\n" + credentials.lines)
                _ = try await client.process.logLine { $0.contains("the server refused a tunnel") }
                try await operated.reload(credentials.lines)
                client.process.signal(SIGHUP)
                try await expectEcho(through: client.tunnel(to: echo.port, skip: 1))
            }
        }

        @Test("a reload names the visitors for whom the old limits go on")
        func oldLimits() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("narrow", scenario)
                let operated = try await server(credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let visitor = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("x")
                    _ = try visitor.receive(exactly: 1)
                    return visitor
                }
                let rights = "bandwidth = \"1 MB/s\"\nvisitor_idle = \"2 h\"\nvisitor_deny = [\"127.0.0.1\"]\n"
                try await operated.reload(credentials.lines + rights)
                let line = try await operated.process.logLine { $0.contains("present visitors keep the old ones") }
                #expect(line.contains("visitors_that_go_on=1"), "\(line)")
                #expect(line.contains("visitor_deny,visitor_idle"), "\(line)")
                _ = try await operated.process.logLine { $0.contains("new bandwidth holds for new visitors") }
                try await expectReset(port)
                visitor.close()
            }
        }

        @Test("P5 a port is kept for a client that was cut off, and another is told for how long")
        func keptPort() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (owner, other) = try await (Credentials("owner", scenario), Credentials("other", scenario))
                let operated = try await server(owner.lines + other.lines, in: scenario)
                let remote = ["-R", "\(try FreePorts.next()):127.0.0.1:\(echo.port)"]
                let first = try client(operated, owner, remote)
                _ = try await first.tunnel(to: echo.port)
                let waiting = try client(operated, other, remote)
                _ = try await waiting.process.logLine { $0.contains("is held by owner since") }
                await first.process.kill()
                _ = try await waiting.process.logLine {
                    $0.contains("is kept for owner, which was cut off, for another")
                }
                try await expectEcho(through: client(operated, owner, remote).tunnel(to: echo.port))
            }
        }

        @Test("B7 a port of a client that said goodbye is free at once")
        func freePort() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let (owner, other) = try await (Credentials("owner", scenario), Credentials("other", scenario))
                let operated = try await server(owner.lines + other.lines, in: scenario)
                let remote = ["-R", "\(try FreePorts.next()):127.0.0.1:\(echo.port)"]
                let first = try client(operated, owner, remote)
                _ = try await first.tunnel(to: echo.port)
                first.process.signal(SIGTERM)
                #expect(try await first.process.exitStatus() == .exited(0))
                try await expectEcho(through: client(operated, other, remote).tunnel(to: echo.port))
            }
        }

        @Test("X16 a second visitor is reset where one may be there, and let in once the first has gone")
        func oneVisitor() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("one", scenario)
                let operated = try await server("visitor_connections = 1\n" + credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let first = try TCPSocket(port: port)
                try first.send("x")
                #expect(try first.receive(exactly: 1) == [0x78])
                try await expectReset(port)
                first.close()
                try await eventually("the next visitor is let in") {
                    guard let next = try? TCPSocket(port: port, patience: .seconds(2)) else { return false }
                    defer { next.close() }
                    try? next.send("y")
                    return (try? next.receive(exactly: 1)) == [0x79]
                }
            }
        }

        @Test("B7 visitors from denied blocks are reset, as the client's own configuration says")
        func denied() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("deny", scenario)
                let operated = try await server(credentials.lines, in: scenario)
                let path = "\(scenario.directory)/client.toml"
                try scenario.write(
                    """
                    url = "\(operated.url)"
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
                _ = try await operated.process.logLine { $0.contains("visitor refused") }
                #expect(echo.accepted == 0)
            }
        }

        @Test("M25 a drain that does not end is ended after the configured time, and its visitors are reset")
        func drainTime() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("drain", scenario)
                let operated = try await server(credentials.lines + "[limits]\ndrain_time = \"1 s\"\n", in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let visitor = try TCPSocket(port: try await client.tunnel(to: echo.port))
                try visitor.send("x")
                #expect(try visitor.receive(exactly: 1) == [0x78])
                let began = ContinuousClock.now
                operated.process.signal(SIGTERM)
                #expect(try await operated.process.exitStatus() == .exited(0))
                let taken = began.duration(to: .now)
                #expect(taken > .milliseconds(950) && taken < .seconds(9), "\(taken)")
                #expect(try visitor.drain().ending == .reset)
            }
        }

        @Test("X5 a silent visitor is reset after its time, at both ends")
        func silentVisitor() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("idle", scenario)
                let operated = try await server("visitor_idle = \"1 s\"\n" + credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                try await onThread {
                    let visitor = try TCPSocket(port: port, patience: .seconds(10))
                    try visitor.send("x")
                    try demand(try visitor.receive(exactly: 1) == [0x78], "no echo")
                    try demand(try visitor.drain().ending == .reset, "no reset")
                }
            }
        }

        @Test("A bandwidth is kept to, in both directions")
        func bandwidth() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("slow", scenario, rights: "bandwidth = \"1 MB/s\"")
                let operated = try await server(credentials.lines, in: scenario)
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
                let port = try await client.tunnel(to: echo.port)
                let began = ContinuousClock.now
                try await onThread {
                    let visitor = try TCPSocket(port: port, patience: .seconds(20))
                    Thread.detachNewThread { try? visitor.send(Array(repeating: 7, count: 2_000_000)) }
                    _ = try visitor.receive(exactly: 2_000_000)
                    visitor.close()
                }
                let taken = began.duration(to: .now)
                // The burst of a quarter of a second is free.
                #expect(taken > .milliseconds(1_500) && taken < .seconds(6), "\(taken)")
            }
        }

        @Test("P13 the PROXY protocol tells the service who the visitor is", arguments: ["v1", "v2"])
        func proxyProtocol(_ version: String) async throws {
            try await Scenario.play { scenario in
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
                let bytes = try await seen.next("what the service read")
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

        @Test("B8 a listed front before the public ports says who the visitor is; without a header it is cut off")
        func frontOnPublicPorts() async throws {
            try await Scenario.play { scenario in
                let echo = try TCPService.echo()
                let credentials = try await Credentials("front", scenario)
                let operated = try await server(
                    "trusted_front = \"127.0.0.1\"\npublic_proxy_protocol = true\nvisitor_deny = \"6.6.6.6\"\n"
                        + credentials.lines,
                    in: scenario
                )
                let client = try client(operated, credentials, ["-R", "0:127.0.0.1:\(echo.port)"])
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

        @Test("A server that asks for clients' certificates takes those of its CA, and no others", .needs(.openssl))
        func clientCertificates() async throws {
            try await Scenario.play { scenario in
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
            "A renewed certificate is shown from the next connection on, and running streams do not notice",
            .needs(.openssl)
        )
        func renewedCertificate() async throws {
            try await Scenario.play { scenario in
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
                // The kernel accepts before anybody asks who it is.
                guard let visitor = try? TCPSocket(port: port) else { return }
                let ending = try visitor.drain()
                try demand(ending.bytes.isEmpty && ending.ending == .reset, "the visitor was not reset: \(ending)")
            }
        }
    }
}
