import Foundation
import Platform
import TestSupport
import Testing

extension EndToEnd {
    /// Notifications to systemd, socket activation, and the units in Fixtures.
    @Suite(.serialized)
    struct SystemdTests {
        @Test("The server notifies systemd of its readiness, reloads, stop and liveness")
        func server() async throws {
            try await Scenario.run { scenario in
                let socket = try DatagramSocket(path: "\(scenario.directory)/notify")
                let path = "\(scenario.directory)/server.toml"
                try scenario.write("listen = \"127.0.0.1:0\"\ntoken_file = \"\(scenario.tokenFile)\"\n", to: path)
                let process = try scenario.culvert(
                    "server",
                    ["server", "--config", path],
                    environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "200000"]
                )
                try await onThread {
                    try socket.expect("READY=1")
                    try socket.expect("WATCHDOG=1")
                    try socket.expect("WATCHDOG=1")
                    process.signal(SIGHUP)
                    try socket.expect("RELOADING=1\nMONOTONIC_USEC=")
                    try socket.expect("READY=1")
                    process.signal(SIGTERM)
                    try socket.expect("STOPPING=1")
                }
                #expect(try await process.exitStatus() == .exited(0))
            }
        }

        @Test("The client notifies systemd that it is ready before it has a session, and that it stops")
        func client() async throws {
            try await Scenario.run { scenario in
                let socket = try DatagramSocket(path: "\(scenario.directory)/notify")
                let process = try scenario.culvert(
                    "client",
                    ["client", "ws://127.0.0.1:1", "-R", "0:localhost:9", "--token-file", scenario.tokenFile],
                    environment: ["NOTIFY_SOCKET": socket.path]
                )
                try await onThread {
                    try socket.expect("READY=1")
                    process.signal(SIGTERM)
                    try socket.expect("STOPPING=1")
                }
                #expect(try await process.exitStatus() == .exited(0))
            }
        }

        @Test("An inherited socket replaces --listen", .needs(.python))
        func activation() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                // Opens the socket as descriptor 3 and executes the server, as systemd does for socket units.
                let opener = """
                    import os, socket, sys
                    s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
                    os.dup2(s.fileno(), 3)
                    os.set_inheritable(3, True)
                    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
                    os.execv(sys.argv[2], sys.argv[2:])
                    """
                let process = try scenario.start(
                    "server",
                    Program.python.required(),
                    [
                        "-c", opener, "\(port)", CulvertExecutable.path(), "server", "--listen", "127.0.0.1:0",
                        "--public-address", "127.0.0.1", "--token-file", scenario.tokenFile,
                    ]
                )
                let line = try await process.line { $0.hasPrefix("listening ") }
                #expect(line == "listening ws://127.0.0.1:\(port)/tunnel")
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: client.tunnel(to: echo.port))
            }
        }

        /// The settings of a unit; the last of a name counts.
        private func settings(_ name: String) throws -> [String: String] {
            let lines = try Fixture.text("systemd/\(name)").split(separator: "\n").filter { !$0.hasPrefix("#") }
            let pairs = lines.compactMap { line -> (String, String)? in
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
            }
            return Dictionary(pairs) { $1 }
        }

        @Test("The units limit capabilities, memory and the file mode mask")
        func unitsHarden() throws {
            let server = try settings("culvert-server.service")
            #expect(server["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE")
            #expect(server["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE")
            let client = try settings("culvert-client.service")
            #expect(client["CapabilityBoundingSet"]?.isEmpty == true && client["AmbientCapabilities"] == nil)
            // Each unit has its own dynamic user, and so its own folder.
            #expect(server["StateDirectory"] == "culvert" && client["StateDirectory"] == "culvert-client")
            for unit in [server, client] {
                #expect(unit["MemoryMax"] == "2G")
                #expect(unit["UMask"] == "0077")
                #expect(unit["StateDirectoryMode"] == "0700")
            }
        }

        @Test("systemd-analyze accepts the units without a complaint", .needs(.systemdAnalyze))
        func unitsAreValid() async throws {
            try await Scenario.run { scenario in
                // systemd-analyze checks that the executable exists.
                let paths = try ["culvert-server.service", "culvert-client.service", "culvert-server.socket"].map {
                    name in
                    let text = try Fixture.text("systemd/\(name)")
                    let path = "\(scenario.directory)/\(name)"
                    try scenario.write(
                        text.replacing("/usr/local/bin/culvert", with: CulvertExecutable.path()),
                        to: path
                    )
                    return path
                }
                let process = try scenario.start("verify", Program.systemdAnalyze.required(), ["verify"] + paths)
                #expect(try await process.exitStatus() == .exited(0), "\(process)")
                let complaints = process.errors.lines.filter { line in paths.contains { line.contains($0) } }
                #expect(complaints.isEmpty, "\(complaints)")
            }
        }

        @Test(
            "A server with only the unit's capability listens on a port below 1024",
            .needs(.setpriv),
            .enabled(if: geteuid() == 0, "needs root to give capabilities")
        )
        func lowPort() async throws {
            try await Scenario.run { scenario in
                let port = (900..<1_000).first { port in
                    (try? TCPService.listening(on: UInt16(port)))?.stop() != nil
                }
                let server = try scenario.start(
                    "server",
                    Program.setpriv.required(),
                    [
                        "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
                        "--inh-caps", "-all,+net_bind_service", "--ambient-caps", "-all,+net_bind_service",
                        "--bounding-set", "-all,+net_bind_service", CulvertExecutable.path(), "server", "--listen",
                        "127.0.0.1:\(try #require(port))",
                    ]
                )
                _ = try await server.line { $0.hasPrefix("listening ") }
            }
        }

        @Test("The units have the required hardening settings")
        func units() throws {
            for name in ["culvert-server.service", "culvert-client.service"] {
                let text = try Fixture.text("systemd/\(name)")
                #expect(text.contains("Type=notify"))
                #expect(text.contains("NoNewPrivileges=yes"))
                #expect(text.contains("ProtectSystem=strict"))
                // The server needs setrlimit, which is in @resources. A forbidden call fails with EPERM and does not
                // end the process.
                #expect(!text.contains("@resources") && text.contains("SystemCallErrorNumber=EPERM"))
                let command = try #require(text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
                #expect(command.contains("/usr/local/bin/culvert "))
            }
            #expect(try Fixture.text("systemd/culvert-server.socket").contains("ListenStream=127.0.0.1:8080"))
        }
    }
}
