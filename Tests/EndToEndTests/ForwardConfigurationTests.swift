import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The configuration of forwards, and local ports that are taken.
    @Suite(.serialized)
    struct ForwardConfigurationTests {
        @Test(
            "[[forward]] and socks of the client's configuration, and allow_connect of the server's, work as the flags do",
            .needs(.curl)
        )
        func configuration() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: EndToEnd.PathTests.page)
                let destination = "127.0.0.1:\(web.port)"
                let (serverFile, clientFile) = (
                    "\(scenario.directory)/server.toml", "\(scenario.directory)/client.toml"
                )
                let (local, socks) = (try FreePorts.next(), try FreePorts.next())
                try scenario.write("allow_connect = [\"\(destination)\"]\n", to: serverFile)
                let server = try await scenario.server(options: ["--config", serverFile])
                try scenario.write(
                    """
                    url = "\(server.url)"
                    socks = ["\(socks)"]

                    [[forward]]
                    local = "127.0.0.1:\(local)"
                    remote = "\(destination)"

                    """,
                    to: clientFile
                )
                let client = CulvertClient(
                    process: try scenario.culvert(
                        "client",
                        ["client", "--config", clientFile, "--token-file", scenario.tokenFile]
                    )
                )
                #expect(try await client.forward(to: destination) == local)
                #expect(try await client.socks() == socks)
                try await expectPage(through: local)
                let page = try await scenario.run(
                    .curl,
                    ["-sS", "--socks5-hostname", "127.0.0.1:\(socks)", "http://\(destination)/"]
                )
                #expect(page == EndToEnd.PathTests.page)
            }
        }

        @Test("-W with a configuration leaves its tunnels and forwards to the client that runs beside")
        func stdio() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let server = try await scenario.server(allowing: [destination])
                let (local, file) = (try FreePorts.next(), "\(scenario.directory)/client.toml")
                try scenario.write(
                    """
                    url = "\(server.url)"

                    [[tunnel]]
                    remote = "0"
                    local = "\(destination)"

                    [[forward]]
                    local = "\(local)"
                    remote = "\(destination)"

                    """,
                    to: file
                )
                let client = CulvertClient(
                    process: try scenario.culvert(
                        "client",
                        ["client", "--config", file, "--token-file", scenario.tokenFile]
                    )
                )
                let tunnel = try await client.tunnel(to: echo.port)
                #expect(try await client.forward(to: destination) == local)
                let input = try InputPipe()
                let stdio = try scenario.stdio(
                    server.url,
                    to: destination,
                    .pipe(input),
                    options: ["--config", file, "--exit-on-forward-failure"],
                    named: "stdio"
                )
                try input.send("ping")
                try await eventually("the echo arrives", found: { "\(stdio.process)" }) { stdio.bytes.count == 4 }
                try await expectEcho(through: tunnel)
                try await expectEcho(through: local)
                input.finish()
                #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
                #expect(server.process.errors.lines.count { $0.contains("port is public") } == 1)
            }
        }

        @Test("After SIGHUP the client listens for new forwards and not for removed ones, and their streams go on")
        func reload() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let server = try await scenario.server(allowing: [destination])
                let (first, second) = (try FreePorts.next(), try FreePorts.next())
                let file = "\(scenario.directory)/client.toml"
                func write(_ local: UInt16) throws {
                    let forward = "[[forward]]\nlocal = \"\(local)\"\nremote = \"\(destination)\"\n"
                    try scenario.write("url = \"\(server.url)\"\n\(forward)", to: file)
                }
                try write(first)
                let client = try scenario.culvert(
                    "client",
                    ["client", "--config", file, "--token-file", scenario.tokenFile]
                )
                _ = try await client.line { $0.hasPrefix("forward 127.0.0.1:\(first) ") }
                let running = try TCPSocket(port: first)
                try running.requireEcho("before")
                try write(second)
                client.signal(SIGHUP)
                _ = try await client.line { $0.hasPrefix("forward 127.0.0.1:\(second) ") }
                try await expectEcho(through: second)
                _ = try await client.logLine { $0.contains("forward removed") }
                #expect(throws: SocketError.refused) { try TCPSocket(port: first) }
                try running.requireEcho("after")
                running.close()
            }
        }

        @Test(
            "--exit-on-forward-failure ends the client with 78 and a line that names the taken port",
            arguments: ["-L", "-D"]
        )
        func exitOnFailure(_ flag: String) async throws {
            try await Scenario.run { scenario in
                let holder = try TCPService.echo()
                let server = try await scenario.server()
                let value = flag == "-L" ? "\(holder.port):localhost:9" : "\(holder.port)"
                let client = try scenario.client(
                    server.url,
                    [],
                    options: ["--exit-on-forward-failure", flag, value]
                )
                #expect(try await client.process.exitStatus() == .exited(78), "\(client.process)")
                let lines = client.process.errors.lines.filter { $0.hasPrefix("culvert: ") }
                #expect(lines.count == 1, "\(client.process)")
                expect(lines.last ?? "", says: "cannot listen", "\(holder.port)")
                #expect(client.process.output.lines.isEmpty)
            }
        }

        @Test("--exit-on-forward-failure ends the client with 77 if the server cannot bind a port of -R")
        func exitOnPublicFailure() async throws {
            try await Scenario.run { scenario in
                let holder = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:9", "\(holder.port):127.0.0.1:9"],
                    options: ["--exit-on-forward-failure"]
                )
                #expect(try await client.process.exitStatus() == .exited(77), "\(client.process)")
                let line = client.process.errors.lines.last { $0.hasPrefix("culvert: ") } ?? ""
                expect(line, says: "-R \(holder.port):127.0.0.1:9", "in use by another program on the server")
            }
        }

        @Test("Without --exit-on-forward-failure the client warns of a taken port, goes on, and takes the port later")
        func takenPort() async throws {
            try await Scenario.run { scenario in
                let (holder, echo) = (try TCPService.echo(), try TCPService.echo())
                let destination = "127.0.0.1:\(echo.port)"
                let server = try await scenario.server(allowing: [destination])
                let client = try scenario.client(
                    server.url,
                    ["0:\(destination)"],
                    options: ["-L", "127.0.0.1:\(holder.port):\(destination)"]
                )
                let line = try await client.process.logLine { $0.contains("port cannot be bound") }
                expect(line, says: "warning", "\(holder.port)")
                try await expectEcho(through: client.tunnel(to: echo.port))
                holder.stop()
                #expect(try await client.forward(to: destination) == holder.port)
                try await expectEcho(through: holder.port)
            }
        }
    }
}
