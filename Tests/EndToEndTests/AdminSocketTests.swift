import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The sockets at which commands find a running server or client without a flag.
    @Suite(.serialized)
    struct AdminSocketTests {
        private func run(_ command: [String], _ scenario: Scenario) async throws -> ChildProcess {
            let process = try scenario.culvert(command[0], command)
            _ = try await process.exitStatus()
            return process
        }

        private func socket(_ name: String, _ scenario: Scenario) -> String { "\(scenario.directory)/culvert/\(name)" }

        @Test("status, renew and kick need no flag beside one server, and its socket is its user's alone")
        func oneServer() async throws {
            try await Scenario.run { scenario in
                _ = try await scenario.server()
                let status = try await run(["status"], scenario)
                #expect(status.output.lines.first?.contains(" server, up ") == true, "\(status)")
                #expect(try await run(["renew"], scenario).exitStatus == .exited(0))
                let kick = try await run(["kick", "nobody"], scenario)
                #expect(kick.exitStatus == .exited(69))
                #expect(kick.errors.text.contains("no session of a client nobody"), "\(kick)")
                #expect(try await run(["renew", "nobody"], scenario).exitStatus == .exited(69))
                for (path, mode) in [
                    ("\(scenario.directory)/culvert", 0o700), (socket("server.sock", scenario), 0o600),
                ] {
                    let facts = try FileManager.default.attributesOfItem(atPath: path)
                    #expect(facts[.posixPermissions] as? Int == mode, "\(path)")
                }
            }
        }

        @Test("Beside several roles status lists them with their names, and kick takes the server")
        func several() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--name", "laptop"]
                )
                _ = try await client.tunnel(to: echo.port)
                let status = try await run(["status"], scenario)
                #expect(status.exitStatus == .exited(64))
                for word in ["unix:\(socket("server.sock", scenario))  (server)", "(client laptop)"] {
                    #expect(status.errors.text.contains(word), "\(status)")
                }
                let chosen = socket("client-laptop.sock", scenario)
                let one = try await run(["status", "--admin", "unix:\(chosen)"], scenario)
                #expect(one.output.lines.first?.contains(" client, up ") == true, "\(one)")
                #expect(try await run(["kick", "default/laptop"], scenario).exitStatus == .exited(0))
            }
        }

        @Test("A second role of the same name runs without the socket, and says so in one line")
        func taken() async throws {
            try await Scenario.run { scenario in
                _ = try await scenario.server()
                let second = try await scenario.server()
                let line = try await second.process.logLine { $0.contains("no standard admin socket") }
                #expect(line.contains("another program answers there"), "\(line)")
                #expect(second.process.errors.lines.count { $0.contains("admin") } == 1, "\(second.process)")
                #expect(try await run(["status"], scenario).exitStatus == .exited(0))
            }
        }

        @Test("A socket that a killed process has left is replaced, and one that ends removes its own")
        func stale() async throws {
            try await Scenario.run { scenario in
                let first = try await scenario.server()
                await first.process.kill()
                #expect(FileManager.default.fileExists(atPath: socket("server.sock", scenario)))
                #expect(try await run(["status"], scenario).exitStatus == .exited(69))
                let second = try await scenario.server()
                #expect(try await run(["status"], scenario).exitStatus == .exited(0))
                await second.process.end()
                #expect(!FileManager.default.fileExists(atPath: socket("server.sock", scenario)))
            }
        }

        @Test("A folder that cannot be made is one line of the log, and no failure")
        func noFolder() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--admin", "none"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    environment: ["XDG_RUNTIME_DIR": "\(scenario.directory)/missing"]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                let line = try await client.process.logLine { $0.contains("no standard admin socket") }
                #expect(line.contains("missing/culvert/client.sock"), "\(line)")
                #expect(!FileManager.default.fileExists(atPath: "\(scenario.directory)/culvert"))
                let none = try await run(["status"], scenario)
                #expect(none.exitStatus == .exited(69))
                #expect(none.errors.text.contains("\(scenario.directory)/culvert"), "\(none)")
            }
        }

        @Test("A unix socket and a TCP address serve at the same time, and the TCP address has no status")
        func both() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let path = "\(scenario.directory)/own.sock"
                _ = try await scenario.server(options: ["--admin", "unix:\(path)", "--admin", "127.0.0.1:\(port)"])
                for target in ["/metrics", "/healthz", "/readyz"] {
                    #expect(try TCPSocket(port: port).request("GET", target).status == 200)
                    #expect(try TCPSocket(unixPath: path).request("GET", target).status == 200)
                }
                #expect(try TCPSocket(port: port).request("GET", "/status").status == 404)
                #expect(try TCPSocket(unixPath: path).request("GET", "/status").status == 200)
            }
        }
    }
}
