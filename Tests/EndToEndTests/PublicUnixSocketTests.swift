import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-R /SOCKET:…`: public Unix sockets.
    @Suite(.serialized)
    struct PublicUnixSocketTests {
        /// Starts a server with a folder for clients' sockets.
        private func server(
            in scenario: Scenario,
            options: [String] = []
        ) async throws -> (server: CulvertServer, folder: String) {
            let folder = try scenario.folder("sockets")
            // Whatever the umask is: others must not be able to change it.
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
            return (try await scenario.server(options: ["--unix-directory", folder] + options), folder)
        }

        /// Waits until a Unix socket is public.
        private func waitForTunnel(_ path: String, _ client: CulvertClient, skip: Int = 0) async throws {
            _ = try await client.process.line(skip: skip) { $0.hasPrefix("tunnel unix:\(path) -> ") }
        }

        private func mode(of path: String) throws -> Int {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return try #require(attributes[.posixPermissions] as? Int)
        }

        @Test("Visitors of a Unix socket reach a port and a Unix socket, with the halves of a connection kept apart")
        func echo() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                let reverse: @Sendable (TCPSocket) throws -> Void = { socket in
                    try socket.send(Array(socket.receiveToEnd().reversed()))
                }
                let servicePath = "\(scenario.directory)/service.sock"
                let byPort = try TCPService(reverse)
                let byPath = try TCPService(unixPath: servicePath, reverse)
                let client = try scenario.client(
                    server.url,
                    ["\(folder)/a:127.0.0.1:\(byPort.port)", "\(folder)/b:\(servicePath)"]
                )
                for name in ["a", "b"] {
                    try await waitForTunnel("\(folder)/\(name)", client)
                    #expect(try mode(of: "\(folder)/\(name)") == 0o600)
                    let answer = try await onThread {
                        let visitor = try TCPSocket(unixPath: "\(folder)/\(name)")
                        try visitor.send("abc")
                        try visitor.finishSending()
                        return try visitor.receiveToEnd()
                    }
                    #expect(answer == Array("cba".utf8))
                }
                #expect(byPort.accepted == 1 && byPath.accepted == 1)
                await client.process.end()
                for process in [server.process, client.process] {
                    let line = try await process.logLine { $0.contains("stream ended") }
                    expect(line, says: "visitor=\"user \(getuid()) process \(getpid())\"")
                }
                try await eventually("the sockets are removed") {
                    try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
                }
            }
        }

        @Test("A Unix socket has the mode and the group that the operator configures")
        func access() async throws {
            try await Scenario.run { scenario in
                let options = ["--unix-mode", "0660", "--unix-group", "\(getgid())"]
                let (server, folder) = try await server(in: scenario, options: options)
                let client = try scenario.client(server.url, ["\(folder)/a:9"])
                try await waitForTunnel("\(folder)/a", client)
                #expect(try mode(of: "\(folder)/a") == 0o660)
            }
        }

        @Test("S12 A socket file without a program is replaced; a program's own, another client's and a file stay")
        func stale() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                try leaveStaleSocket(at: "\(folder)/stale")
                let program = try TCPService.echo(unixPath: "\(folder)/program")
                // A connection to this one fails, and yet a program has it.
                let datagrams = try DatagramSocket(path: "\(folder)/datagrams")
                try scenario.write("text", to: "\(folder)/file")
                let first = try scenario.client(server.url, ["\(folder)/mine:9"], options: ["--name", "first"])
                try await waitForTunnel("\(folder)/mine", first)
                let names = ["stale", "program", "file", "mine", "datagrams"]
                let client = try scenario.client(
                    server.url,
                    names.map { "\(folder)/\($0):9" },
                    options: ["--name", "second"]
                )
                try await waitForTunnel("\(folder)/stale", client)
                for (name, reason) in [
                    ("program", "another program answers there"), ("file", "exists and is not a socket"),
                    ("mine", "is held by default/first since"),
                    ("datagrams", "a socket is there already, and whether a program has it cannot be told"),
                ] {
                    let line = try await client.process.logLine {
                        $0.contains("could not bind") && $0.contains("\(folder)/\(name):")
                    }
                    expect(line, says: reason)
                }
                #expect(try String(contentsOfFile: "\(folder)/file", encoding: .utf8) == "text")
                try await onThread { try TCPSocket(unixPath: "\(folder)/program").requireEcho("still there") }
                #expect(program.accepted >= 1 && FileManager.default.fileExists(atPath: datagrams.path))
            }
        }

        @Test("S4 No path leaves the folder, and a server without one refuses them all")
        func outside() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                try FileManager.default.createSymbolicLink(
                    atPath: "\(folder)/link",
                    withDestinationPath: scenario.directory
                )
                for path in [
                    "\(scenario.directory)/x", "\(folder)/link/x", "\(folder)/sub/x", "\(folder)x", folder, "/x",
                ] {
                    let client = try scenario.client(server.url, ["\(path):9"])
                    #expect(try await client.process.exitStatus() == .exited(77), "\(path)")
                    expect(client.process.errors.text, says: "is not allowed here; allowed: \(folder)/NAME")
                }
                for path in ["\(folder)/../x", "\(folder)//x", "\(folder)/./x"] {
                    let client = try scenario.client(server.url, ["\(path):9"])
                    #expect(try await client.process.exitStatus() == .exited(64), "\(path)")
                }
                let none = try await scenario.server()
                let client = try scenario.client(none.url, ["\(folder)/a:9"])
                #expect(try await client.process.exitStatus() == .exited(77))
                expect(client.process.errors.text, says: "the server has no unix_directory")
            }
        }

        @Test("The server's own socket in the folder is refused, and a folder that others can change has no sockets")
        func unfitPlaces() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(
                    in: scenario,
                    options: ["--admin", "unix:\(scenario.directory)/sockets/admin"]
                )
                let client = try scenario.client(server.url, ["\(folder)/admin:9"])
                let own = try await client.process.logLine { $0.contains("could not bind") }
                expect(own, says: "is a socket of culvert server itself")
                for (mode, isFit) in [(0o777, false), (0o775, false), (0o1777, true)] {
                    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder)
                    let other = try scenario.client(
                        server.url,
                        ["\(folder)/x\(mode):9"],
                        options: ["--name", "\(mode)"]
                    )
                    if isFit {
                        try await waitForTunnel("\(folder)/x\(mode)", other)
                    } else {
                        let line = try await other.process.logLine { $0.contains("could not bind") }
                        expect(line, says: "other users can change the folder")
                    }
                }
            }
        }

        @Test("A session that ends leaves the socket of a program that has taken its place meanwhile")
        func laterProgram() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                let echo = try TCPService.echo()
                let client = try scenario.client(server.url, ["\(folder)/a:127.0.0.1:\(echo.port)"])
                try await waitForTunnel("\(folder)/a", client)
                let visitor = try TCPSocket(unixPath: "\(folder)/a")
                try await onThread { try visitor.requireEcho("before") }
                // The port is closed at once, and the session goes on until its visitor leaves.
                client.process.signal(SIGTERM)
                try await eventually("the socket is removed") { !FileManager.default.fileExists(atPath: "\(folder)/a") }
                let program = try TCPService.echo(unixPath: "\(folder)/a")
                visitor.close()
                _ = try await server.process.logLine { $0.contains("session ended") }
                try await onThread { try TCPSocket(unixPath: "\(folder)/a").requireEcho("the program") }
                #expect(program.accepted == 1)
            }
        }

        @Test("SIGHUP replaces a UDP port by a TCP port of its number, and a Unix socket by another, in one session")
        func reload() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                let port = try FreePorts.next()
                let file = "\(scenario.directory)/client.toml"
                let configure: (String, String) throws -> Void = { transport, name in
                    try scenario.write(
                        """
                        url = "\(server.url)"
                        token_file = "\(scenario.tokenFile)"
                        [[tunnel]]
                        remote = "\(port)"
                        local = "127.0.0.1:9"
                        protocol = "\(transport)"
                        [[tunnel]]
                        remote = "\(folder)/\(name)"
                        local = "127.0.0.1:9"

                        """,
                        to: file
                    )
                }
                try configure("udp", "a")
                let process = try scenario.culvert("client", ["client", "--config", file])
                let client = CulvertClient(process: process)
                _ = try await process.line { $0.hasPrefix("tunnel udp://127.0.0.1:\(port) ") }
                try await waitForTunnel("\(folder)/a", client)
                try configure("tcp", "b")
                process.signal(SIGHUP)
                _ = try await process.line { $0.hasPrefix("tunnel tcp://127.0.0.1:\(port) ") }
                try await waitForTunnel("\(folder)/b", client)
                try await eventually("the old places are free") {
                    try FileManager.default.contentsOfDirectory(atPath: folder) == ["b"]
                        && (try? UDPSocket(port: port)) != nil
                }
                await process.end()
                let sessions = process.errors.lines.filter { $0.contains("session opened") }
                #expect(sessions.count == 1, "\(process)")
            }
        }

        @Test("A client's session after a lost carrier and after a restart has its socket again")
        func comesBack() async throws {
            try await Scenario.run { scenario in
                let (server, folder) = try await server(in: scenario)
                let echo = try TCPService.echo()
                let relay = try FaultRelay(to: server.port)
                let spec = "\(folder)/a:127.0.0.1:\(echo.port)"
                let client = try scenario.client("ws://127.0.0.1:\(relay.port)", [spec])
                try await waitForTunnel("\(folder)/a", client)
                let visitor = try TCPSocket(unixPath: "\(folder)/a")
                try await onThread { try visitor.requireEcho("before") }
                relay.cut(.reset)
                _ = try await client.process.logLine { $0.contains("session resumed") }
                try await onThread { try visitor.requireEcho("after") }
                await client.process.end()
                let second = try scenario.client("ws://127.0.0.1:\(relay.port)", [spec])
                try await waitForTunnel("\(folder)/a", second)
                try await onThread { try TCPSocket(unixPath: "\(folder)/a").requireEcho("again") }
            }
        }
    }
}
