import Foundation
import Platform
import TestSupport
import Testing

extension EndToEnd {
    /// Exhausted resources of the machine (X1 to X16 of Threats).
    ///
    /// X8 is tested in TunnelTests. For X13, names are looked up and files are read outside the event loops, and
    /// messages are inflated in bounded chunks (D7). ``AdminTests`` checks the metric of the loops' lag.
    @Suite(.serialized)
    struct ResourceTests {
        /// Starts the executable after a shell command that changes its descriptors or limits.
        private func start(
            _ scenario: Scenario,
            _ name: String,
            _ arguments: [String],
            by command: String
        ) throws -> ChildProcess {
            let script = "\(command); exec \"$@\""
            return try scenario.start(name, "/bin/sh", ["-c", script, "sh", CulvertExecutable.path()] + arguments)
        }

        private func serverArguments(_ scenario: Scenario, port: UInt16) -> [String] {
            [
                "server", "--listen", "127.0.0.1:\(port)", "--public-address", "127.0.0.1", "--token-file",
                scenario.tokenFile,
            ]
        }

        private func clientArguments(_ scenario: Scenario, _ url: String, _ remote: String) -> [String] {
            ["client", url, "-R", remote, "--token-file", scenario.tokenFile]
        }

        @Test(
            "Too few descriptors end a command with a line and 71",
            arguments: [["server"], ["client", "ws://127.0.0.1:1", "-R", "1:x:1"], ["demo", "--once"], ["status"]]
        )
        func tooFewDescriptors(arguments: [String]) async throws {
            try await Scenario.run { scenario in
                let process = try start(scenario, "culvert", arguments, by: "ulimit -n 10")
                #expect(try await process.exitStatus() == .exited(71), "\(process)")
                #expect(process.errors.lines.count == 1, "\(process)")
                #expect(process.errors.text.hasPrefix("culvert: too few file descriptors: "), "\(process)")
            }
        }

        @Test(
            "Too few threads end a command with a line and 71",
            .needs(.setpriv),
            .enabled(if: geteuid() == 0, "needs root to become another user: the limit does not apply to root"),
            arguments: [["server"], ["demo", "--once"], ["check", "--config", "/dev/null"]]
        )
        func tooFewThreads(arguments: [String]) async throws {
            try await Scenario.run { scenario in
                let copy = "\(scenario.directory)/culvert"
                try FileManager.default.copyItem(atPath: CulvertExecutable.path(), toPath: copy)
                let process = try scenario.start(
                    "culvert",
                    Program.setpriv.path ?? "setpriv",
                    ["--reuid", "54321", "--clear-groups", "prlimit", "--nproc=3", copy] + arguments
                )
                #expect(try await process.exitStatus() == .exited(71), "\(process)")
                #expect(process.errors.text.hasPrefix("culvert: too few threads: "), "\(process)")
            }
        }

        @Test(
            "Commands parse their arguments without /proc",
            .needs(.unshare),
            .enabled(if: geteuid() == 0, "needs root to mount over /proc")
        )
        func withoutProc() async throws {
            try await Scenario.run { scenario in
                for (arguments, status, says) in [
                    (["--version"], 0, "culvert "), (["client"], 64, "give the server's URL"),
                    (["check", "--config", "/no/such"], 78, "/no/such"),
                ] as [([String], Int32, String)] {
                    let process = try scenario.start(
                        "culvert",
                        Program.unshare.path ?? "unshare",
                        ["-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh", CulvertExecutable.path()]
                            + arguments
                    )
                    #expect(try await process.exitStatus() == .exited(status), "\(process)")
                    #expect((process.output.text + process.errors.text).contains(says), "\(process)")
                }
            }
        }

        @Test("An argument that is not in UTF-8 is refused")
        func argumentsInLatin1() async throws {
            try await Scenario.run { scenario in
                let script = "exec \"$0\" client ws://h -R 1:x:1 --proxy-user \"$(printf 'me:p\\344ss')\""
                let process = try scenario.start("culvert", "/bin/sh", ["-c", script, CulvertExecutable.path()])
                #expect(try await process.exitStatus() == .exited(64), "\(process)")
                #expect(process.errors.lines == ["culvert: argument 6 is not in UTF-8"], "\(process)")
            }
        }

        @Test("A listening unix socket has the configured mode and group", arguments: [true, false])
        func unixSocketAccess(isInFile: Bool) async throws {
            try await Scenario.run { scenario in
                let (socket, file) = ("\(scenario.directory)/socket", "\(scenario.directory)/server.toml")
                let group = getgid()
                let lines = "listen = \"unix:\(socket)\"\nlisten_mode = \"0620\"\nlisten_group = \"\(group)\"\n"
                try scenario.write(lines, to: file)
                let flags = ["--listen", "unix:\(socket)", "--listen-mode", "0620", "--listen-group", "\(group)"]
                let arguments =
                    ["server", "--token-file", scenario.tokenFile] + (isInFile ? ["--config", file] : flags)
                let server = try start(scenario, "server", arguments, by: "umask 0")
                _ = try await server.line { $0.hasPrefix("listening unix:") }
                let facts = try FileManager.default.attributesOfItem(atPath: socket)
                #expect(facts[.posixPermissions] as? Int == 0o620)
                #expect(facts[.groupOwnerAccountID] as? Int == Int(group))
                await server.end()
                let wrong = try scenario.culvert(
                    "server",
                    ["server", "--listen-mode", "rw", "--listen-group", "no-such"]
                )
                #expect(try await wrong.exitStatus() == .exited(78), "\(wrong)")
                #expect(wrong.errors.text.contains("--listen-mode: rw is not a file mode"), "\(wrong)")
            }
        }

        @Test("A client whose standard output is full carries streams, answers pings, and ends on SIGTERM")
        func unreadOutput() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                let fifo = "\(scenario.directory)/fifo"
                try #require(mkfifo(fifo, 0o600) == 0)
                let descriptor = open(fifo, O_RDWR | O_NONBLOCK)
                try #require(descriptor >= 0)
                defer { close(descriptor) }
                while write(descriptor, [UInt8](repeating: 0, count: 4_096), 4_096) > 0 {}
                // The server pings each second, and waits 1 s for the answer.
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nping_interval = \"1 s\"\nping_timeout = \"1 s\"\n", to: file)
                let server = try await scenario.server(options: ["--config", file])
                let client = try scenario.start(
                    "client",
                    "/bin/sh",
                    ["-c", "exec \"$@\" > \"$0\"", fifo, CulvertExecutable.path()]
                        + clientArguments(scenario, server.url, "\(port):127.0.0.1:\(echo.port)")
                )
                _ = try await server.process.logLine { $0.contains("port is public") }
                let visitor = try TCPSocket(port: port)
                for round in 0..<4 {
                    try visitor.requireEcho("round \(round)")
                    // The event loop must answer pings during this time.
                    try await Task.sleep(for: .seconds(1))
                }
                #expect(!server.process.errors.text.contains("carrier lost"), "\(server.process)")
                visitor.close()
                client.signal(SIGTERM)
                #expect(try await client.exitStatus(within: .seconds(10)) == .exited(0), "\(client)")
            }
        }

        @Test("An urgent byte keeps its position in the stream, in both directions")
        func urgentData() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    let bytes = try socket.receive(exactly: 5)
                    try socket.send("(")
                    try socket.sendUrgent(UInt8(ascii: "!"))
                    try socket.send(bytes + Array(")".utf8))
                    try socket.finishSending()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let answer = try await onThread {
                    let visitor = try TCPSocket(port: port, timeout: .seconds(10))
                    try visitor.send("ab")
                    try visitor.sendUrgent(UInt8(ascii: "#"))
                    try visitor.send("cd")
                    return try visitor.drain().bytes
                }
                #expect(String(decoding: answer, as: UTF8.self) == "(!ab#cd)")
            }
        }

        @Test(
            "X1 without descriptors a server pauses accepting: streams continue, no thread spins, and it resumes"
        )
        func serverWithoutDescriptors() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                let arguments = serverArguments(scenario, port: port)
                let server = try start(scenario, "server", arguments, by: "ulimit -n 96")
                _ = try await server.line { $0.hasPrefix("listening ") }
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["0:127.0.0.1:\(echo.port)"])
                let tunnel = try await client.tunnel(to: echo.port)
                let running = try TCPSocket(port: tunnel)
                try running.requireEcho("before")
                // More connections than descriptors. The rest waits in the listen queue.
                let visitors = try (0..<120).map { _ in try TCPSocket(port: tunnel) }
                let count: @Sendable () throws -> Int = { try server.descriptorCount }
                try await eventually("the server has opened half of its descriptors") { try count() >= 48 }
                _ = try await server.logLine { $0.contains("few descriptors are left") }
                let before = try server.processorSeconds
                // Measures the processor time of a process that cannot accept.
                try await Task.sleep(for: .seconds(1.7))
                let spent = try server.processorSeconds - before
                #expect(spent < 0.5, "\(spent) s of processor time in 1.7 s")
                #expect(try count() <= 64, "too few descriptors are left for clients and the operator")
                try running.requireEcho("meanwhile")
                let second = try scenario.client(
                    "ws://127.0.0.1:\(port)",
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--name", "second"]
                )
                _ = try await second.tunnel(to: echo.port)
                for visitor in visitors { visitor.close() }
                _ = try await server.logLine { $0.contains("descriptors are free again") }
                try await expectEcho(through: tunnel)
                try running.requireEcho("after")
                running.close()
            }
        }

        @Test("X1 at a server without descriptors each closed visitor admits exactly one waiting visitor")
        func oneVisitorPerFreedDescriptor() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                let server = try start(scenario, "server", serverArguments(scenario, port: port), by: "ulimit -n 96")
                _ = try await server.line { $0.hasPrefix("listening ") }
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["0:127.0.0.1:\(echo.port)"])
                let tunnel = try await client.tunnel(to: echo.port)
                // The server opens a descriptor briefly as a probe, so the smaller of two counts is right.
                let count: @Sendable () throws -> Int = { min(try server.descriptorCount, try server.descriptorCount) }
                let before = try count()
                try await onThread {
                    let visitors = try (0..<120).map { _ in try TCPSocket(port: tunnel) }
                    // Visitors are admitted in order, and an echo proves the admission.
                    var taken = 1
                    repeat {
                        try visitors[taken - 1].requireEcho("x")
                        taken = try count() - before
                    } while before + taken < 48
                    try visitors[taken - 1].requireEcho("x")
                    taken = try count() - before
                    for number in 0..<6 {
                        visitors[number].close()
                        try visitors[taken + number].requireEcho("x")
                    }
                    let openCount = try count()
                    try require(openCount <= before + taken && openCount <= 50, "\(openCount) descriptors")
                    for visitor in visitors { visitor.close() }
                }
                try await expectEcho(through: tunnel)
            }
        }

        @Test("X1 streams continue if strangers occupy all descriptors")
        func strangersTakeDescriptors() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let port = try FreePorts.next()
                let config = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nhandshake_timeout = \"2 s\"\nwrong_proof_delay = \"1 s\"\n", to: config)
                let arguments = serverArguments(scenario, port: port) + ["--config", config]
                let server = try start(scenario, "server", arguments, by: "ulimit -n 64")
                _ = try await server.line { $0.hasPrefix("listening ") }
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["0:127.0.0.1:\(echo.port)"])
                let running = try TCPSocket(port: try await client.tunnel(to: echo.port))
                let strangers = try (0..<100).map { _ in try TCPSocket(port: port) }
                try await eventually("no descriptor is left") { try server.descriptorCount >= 63 }
                let before = try server.processorSeconds
                try await Task.sleep(for: .seconds(1.2))
                let spent = try server.processorSeconds - before
                #expect(spent < 0.5, "\(spent) s of processor time in 1.2 s")
                try running.requireEcho("meanwhile")
                for stranger in strangers { stranger.close() }
                let second = try scenario.client(
                    "ws://127.0.0.1:\(port)",
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--name", "second"]
                )
                _ = try await second.tunnel(to: echo.port)
                try running.requireEcho("after")
                running.close()
            }
        }

        @Test("X2 a client without descriptors resets the visitor, and its session and streams continue")
        func clientWithoutDescriptors() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let arguments = clientArguments(scenario, server.url, "0:127.0.0.1:\(echo.port)")
                let process = try start(scenario, "client", arguments, by: "ulimit -n 48")
                let tunnel = try await CulvertClient(process: process).tunnel(to: echo.port)
                let running = try TCPSocket(port: tunnel)
                try running.requireEcho("before")
                try await onThread {
                    var visitors: [TCPSocket] = []
                    // Ends with the first visitor that is reset, because the client cannot connect to the service.
                    while visitors.count < 100 {
                        let visitor = try TCPSocket(port: tunnel)
                        do {
                            try visitor.requireEcho("x")
                        } catch SocketError.reset {
                            break
                        }
                        visitors.append(visitor)
                    }
                    try require(visitors.count < 100, "100 streams with a limit of 48 descriptors")
                    try running.requireEcho("meanwhile")
                    for visitor in visitors { visitor.close() }
                }
                _ = try await process.logLine { $0.contains("service cannot be reached") && $0.contains("no room") }
                try await eventually("a visitor is served again") {
                    guard let visitor = try? TCPSocket(port: tunnel) else { return false }
                    defer { visitor.close() }
                    return (try? visitor.requireEcho("again")) != nil
                }
                #expect(process.output.lines.count == 1, "the session was not replaced")
                running.close()
            }
        }

        @Test("X5 X14 an idle visitor costs less than 64 KiB and no thread")
        func idleVisitors() async throws {
            try await Scenario.run { scenario in
                let count = TestRun.isHeavy ? 8_000 : 400
                let release = Gate()
                let service = try TCPService.silent(until: release)
                defer { release.open() }
                let (server, client, port) = try await scenario.tunnel(to: service)
                let first = try TCPSocket(port: port)
                try await eventually("the first visitor is connected") { service.accepted == 1 }
                let both = [server.process, client.process]
                let before = try both.map { ($0, try $0.residentBytes, try $0.threadCount) }
                var visitors = [first]
                for _ in 0..<count {
                    visitors.append(try TCPSocket(port: port))
                }
                try await eventually("all visitors are connected", within: .seconds(60)) {
                    service.accepted == count + 1
                }
                for (process, bytes, threads) in before {
                    let each = (try process.residentBytes - bytes) / count
                    #expect(each < 64 << 10, "\(process.name): \(each) bytes for each visitor")
                    #expect(try process.threadCount <= threads + 2, "\(process.name): threads for visitors")
                }
                for visitor in visitors { visitor.close() }
            }
        }

        @Test("X12 ended sessions and visitors leave neither memory nor descriptors at the server")
        func resourcesAreReleased() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let admin = try server.process.descriptorCount
                func round(_ number: Int) async throws -> Int {
                    let client = try scenario.client(
                        server.url,
                        ["0:127.0.0.1:\(echo.port)"],
                        options: ["--name", "round-\(number)"]
                    )
                    let port = try await client.tunnel(to: echo.port)
                    try await onThread {
                        for _ in 0..<(TestRun.isHeavy ? 5_000 : 150) {
                            let visitor = try TCPSocket(port: port)
                            try visitor.requireEcho("once")
                            visitor.close()
                        }
                    }
                    await client.process.end()
                    try await eventually("the session's descriptors are closed") {
                        try server.process.descriptorCount <= admin
                    }
                    return try server.process.residentBytes
                }
                // The first rounds fill pools and caches.
                for number in 0..<2 { _ = try await round(number) }
                let before = try await round(2)
                var after = before
                for number in 3..<6 { after = try await round(number) }
                #expect(after - before < 4 << 20, "\(after - before) bytes more after three more rounds")
            }
        }

        @Test(
            "X15 a full disk or closed output streams stop no traffic, and no visitor receives log lines",
            arguments: ["exec >/dev/full 2>&1", "exec >&- 2>&-", "exec <&- >&- 2>/dev/full"]
        )
        func noLog(redirection: String) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (port, tunnel) = (try FreePorts.next(), try FreePorts.next())
                let options = ["--log-level", "trace"]
                let server = try start(
                    scenario,
                    "server",
                    serverArguments(scenario, port: port) + options,
                    by: redirection
                )
                let client = try start(
                    scenario,
                    "client",
                    clientArguments(scenario, "ws://127.0.0.1:\(port)", "\(tunnel):127.0.0.1:\(echo.port)") + options,
                    by: redirection
                )
                try await waitUntilListening(tunnel, client)
                for text in ["one", "two", "three"] { try await expectEcho(through: tunnel, of: text) }
                #expect(server.exitStatus == nil && client.exitStatus == nil)
                for process in [client, server] {
                    process.signal(SIGTERM)
                    #expect(try await process.exitStatus() == .exited(0))
                }
            }
        }

        @Test("X15 a log with a broken pipe stops no traffic")
        func noReader() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let (port, tunnel) = (try FreePorts.next(), try FreePorts.next())
                // `true` reads nothing and ends, which breaks the pipe.
                let arguments = (serverArguments(scenario, port: port) + ["--log-level", "trace"])
                    .map { "'\($0)'" }.joined(separator: " ")
                let script = "\(try CulvertExecutable.path()) \(arguments) 2>&1 | true"
                let pipe = try scenario.start("server", "/bin/sh", ["-c", script])
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["\(tunnel):127.0.0.1:\(echo.port)"])
                _ = try await client.tunnel(to: echo.port)
                for _ in 0..<5 { try await expectEcho(through: tunnel) }
                #expect(pipe.exitStatus == nil)
                await client.process.end()
                // The shell waits for the server, so the test ends the server itself.
                try await scenario.endListener(on: port)
            }
        }

        @Test("P14 a process that runs as root logs a warning, and no other does", arguments: ["server", "client"])
        func root(role: String) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let process =
                    try role == "server" ? server.process : scenario.client(server.url, ["0:localhost:9"]).process
                _ = try await process.line { _ in true }
                #expect(process.errors.text.contains("running as root") == (geteuid() == 0))
            }
        }

        @Test("P7 a port that the server may not bind is refused with that reason, and retried")
        func notPermitted() async throws {
            let first = try String(contentsOfFile: "/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding: .utf8)
            guard geteuid() == 0, Int(first.split(separator: "\n")[0]) ?? 0 > 1_000 else { return }
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let arguments = serverArguments(scenario, port: port) + ["--allow-ports", "1-65535"]
                let without = "set -- setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service \"$@\""
                let server = try start(scenario, "server", arguments, by: without)
                _ = try await server.line { $0.hasPrefix("listening ") }
                let client = try scenario.client("ws://127.0.0.1:\(port)", ["997:localhost:9"])
                _ = try await client.process.logLine { $0.contains("the server may not bind port 997 of 127.0.0.1") }
                #expect(client.process.exitStatus == nil)
            }
        }

        @Test("P19 the limit of core files is 0")
        func noCore() async throws {
            try await Scenario.run { scenario in
                let server = try start(
                    scenario,
                    "server",
                    serverArguments(scenario, port: 0),
                    by: "ulimit -c unlimited || true"
                )
                _ = try await server.line { $0.hasPrefix("listening ") }
                let limits = try String(contentsOfFile: "/proc/\(server.pid)/limits", encoding: .utf8)
                let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
                #expect(line.split(separator: " ")[4] == "0", "\(line)")
            }
        }

        @Test("P19 no other process of the user can read the server's memory", .needs(.setpriv))
        func memoryIsHidden() async throws {
            try await Scenario.run { scenario in
                let isRoot = geteuid() == 0
                let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
                let server = try scenario.start(
                    "server",
                    Program.setpriv.required(),
                    (isRoot ? user : []) + [CulvertExecutable.path(), "server", "--listen", "127.0.0.1:0"],
                    environment: ["CULVERT_DUMPABLE": "0"]
                )
                _ = try await server.line { $0.hasPrefix("listening ") }
                // The kernel makes root the owner of a process's /proc files if the process hides its memory.
                let facts = try FileManager.default.attributesOfItem(atPath: "/proc/\(server.pid)/mem")
                #expect(facts[.ownerAccountID] as? Int == 0)
                let status = try String(contentsOfFile: "/proc/\(server.pid)/status", encoding: .utf8)
                #expect(status.contains("\nUid:\t\(isRoot ? 65_534 : geteuid())\t"))
            }
        }
    }
}

extension TCPSocket {
    /// Sends a text to an echo service, and requires its echo.
    func requireEcho(_ text: String) throws {
        try send(text)
        let answer = String(decoding: try receive(exactly: text.utf8.count), as: UTF8.self)
        try require(answer == text, "an echo of \(answer) instead of \(text)")
    }
}

extension Scenario {
    /// Ends the server that listens on a port, found by its arguments.
    fileprivate func endListener(on port: UInt16) async throws {
        let pid = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.first { pid in
            let line = (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)) ?? ""
            return line.contains("\0--listen\0127.0.0.1:\(port)\0") && !line.hasPrefix("/bin/sh")
        }
        guard let pid else { throw ScenarioFailure(description: "no server listens on \(port)") }
        kill(pid, SIGTERM)
        try await eventually("the server has ended") { kill(pid, 0) != 0 }
    }
}
