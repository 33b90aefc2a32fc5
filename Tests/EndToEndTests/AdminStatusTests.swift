import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the status says about clients and tunnels that do not work.
    @Suite(.serialized)
    struct AdminStatusTests {
        private func status(_ scenario: Scenario) throws -> [String: Any] {
            let answer = try TCPSocket(unixPath: "\(scenario.directory)/culvert/server.sock").request("GET", "/status")
            return try #require(JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
        }

        private func sessions(_ scenario: Scenario) throws -> [[String: Any]] {
            try #require(try status(scenario)["sessions"] as? [[String: Any]])
        }

        @Test("A server's status has the tunnels that a client wants and does not get, with the reason")
        func notPublic() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--allow-ports", "20000-40000"])
                let client = try scenario.client(server.url, ["80:127.0.0.1:1", "0:127.0.0.1:\(echo.port)"])
                _ = try await client.tunnel(to: echo.port)
                try await eventually("the refused tunnel is there") {
                    let tunnels = try sessions(scenario).first?["tunnels"] as? [[String: Any]] ?? []
                    guard let refused = tunnels.first(where: { $0["refusal"] != nil }), tunnels.count == 2 else {
                        return false
                    }
                    return refused["wanted"] as? String == "port 80"
                        && (refused["refusal"] as? String)?.hasPrefix("port not allowed") == true
                }
                let page = try scenario.culvert(
                    "status",
                    ["status", "--admin", "unix:\(scenario.directory)/culvert/server.sock"]
                )
                _ = try await page.exitStatus()
                #expect(page.output.text.contains("port 80 not public: port not allowed"), "\(page)")
            }
        }

        @Test("A lost client has the reason and the time, and one that has left stays in the status until it is back")
        func gone() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let remotes = ["0:127.0.0.1:\(echo.port)"]
                let client = try scenario.client(server.url, remotes, options: ["--name", "a", "--instance", "one"])
                let port = try await client.tunnel(to: echo.port)
                try await expectEcho(through: port)
                let session = try #require(try sessions(scenario).first)
                for key in ["carrier_since", "last_seen"] { #expect(session[key] is String, "\(key)") }
                #expect(session["resumes"] as? Int == 0 && session["bytes_to_service"] as? Int == 4)
                try await eventually("the stream that has ended is there") {
                    let tunnels = try sessions(scenario).first?["tunnels"] as? [[String: Any]]
                    let ending = (tunnels?.first?["endings"] as? [[String: Any]])?.first
                    return ending?["bytes_to_visitor"] as? Int == 4
                }
                let brief = try TCPSocket(unixPath: "\(scenario.directory)/culvert/server.sock")
                    .request("GET", "/status?session=7")
                #expect(
                    brief.body.contains("\"endings\" : [\n\n") && brief.body.contains("\"resumes\" : 0"),
                    "\(brief)"
                )

                await client.process.kill()
                try await eventually("the loss is there") {
                    let lost = try sessions(scenario).first
                    return lost?["has_carrier"] as? Bool == false && lost?["without_since"] is String
                        && lost?["last_loss"] is String && lost?["carrier_since"] == nil
                }
                let kick = try scenario.culvert("kick", ["kick", "default/a"])
                #expect(try await kick.exitStatus() == .exited(0), "\(kick)")
                let gone = try #require((try status(scenario)["gone"] as? [[String: Any]])?.first)
                #expect(gone["name"] as? String == "default/a")
                #expect((gone["reason"] as? String)?.contains("kicked by the operator") == true, "\(gone)")
                #expect(gone["places"] as? [String] == ["port \(port)"])
                #expect(gone["gone_since"] is String)

                let again = try scenario.client(server.url, remotes, options: ["--name", "a", "--instance", "one"])
                _ = try await again.tunnel(to: echo.port)
                #expect((try status(scenario)["gone"] as? [[String: Any]])?.isEmpty == true)
            }
        }

        @Test("--watch --json prints one object a line")
        func lines() async throws {
            try await Scenario.run { scenario in
                _ = try await scenario.server()
                let watch = try scenario.culvert("watch", ["status", "--watch", "--json"])
                _ = try await watch.line(skip: 1) { $0.hasPrefix("{") && $0.hasSuffix("}") }
                for line in watch.output.lines {
                    #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any], "\(line)")
                }
                watch.signal(SIGINT)
                #expect(try await watch.exitStatus() == .signalled(SIGINT))
            }
        }

        /// Runs a command on a terminal, sends SIGINT once a page is there, and prints the bytes and the end.
        private static let terminal = """
            import os, pty, signal, sys
            child, terminal = pty.fork()
            if child == 0:
                os.execv(sys.argv[1], sys.argv[1:])
            seen = b""
            while True:
                try:
                    chunk = os.read(terminal, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                seen += chunk
                # The first page is followed by Ctrl-Z, and the page after it by Ctrl-C.
                if b"so far:" in chunk and b"\\x1b[?1049l" not in seen:
                    os.kill(child, signal.SIGTSTP)
                    os.waitpid(child, os.WUNTRACED)
                    os.kill(child, signal.SIGCONT)
                elif b"so far:" in chunk:
                    os.kill(child, signal.SIGINT)
            status = os.waitpid(child, 0)[1]
            print(repr(seen), os.WIFSIGNALED(status) and os.WTERMSIG(status))
            """

        @Test(
            "--watch on a terminal uses the alternate screen, and Ctrl-C and Ctrl-Z restore the terminal",
            .needs(.python)
        )
        func screen() async throws {
            try await Scenario.run { scenario in
                _ = try await scenario.server()
                let output = try await scenario.run(
                    .python,
                    ["-c", Self.terminal, try CulvertExecutable.path(), "status", "--watch"],
                    environment: ["XDG_RUNTIME_DIR": scenario.directory]
                )
                let line = try #require(output.split(separator: "\n").last)
                #expect(line.hasPrefix("b'\\x1b[?1049h") && line.contains("culvert "), "\(line)")
                #expect(line.hasSuffix("\\x1b[?1049l' 2"), "\(line)")
                for part in ["1049h", "1049l"] { #expect(line.components(separatedBy: part).count == 3, "\(line)") }
            }
        }
    }
}
