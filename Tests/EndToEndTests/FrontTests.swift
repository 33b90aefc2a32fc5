import Foundation
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Fronts before the server, each with its configuration in Fixtures.
    @Suite(.serialized)
    struct FrontTests {
        @Test("All fronts are installed", .needs(.nginx, .haproxy, .caddy, .apache))
        func allAreInstalled() {
            #expect(FrontProgram.here == FrontProgram.allCases)
        }

        @Test(
            "The configuration of each front in Fixtures works as it is",
            .needs(.openssl, .curl),
            arguments: FrontProgram.here
        )
        func page(_ program: FrontProgram) async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: PathTests.page)
                let server = try await scenario.server()
                let front = try await program.front(of: server.port, in: scenario)
                let client = try scenario.client(
                    front.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--ca", front.authority]
                )
                try await expectPage(through: client.tunnel(to: web.port))
                #expect(try await Self.status("/elsewhere", of: front, in: scenario) == "404")
                await client.process.end()
                try await eventually("the front logs the WebSocket") { !front.upgrades.isEmpty }
                #expect(!server.process.errors.text.contains("/elsewhere"), "the front answers by itself")
            }
        }

        @Test(
            "A reload with a renewed certificate under load cuts no stream, even if the front cuts the WebSocket",
            .needs(.openssl, .curl),
            arguments: FrontProgram.here
        )
        func reload(_ program: FrontProgram) async throws {
            try await Scenario.run { scenario in
                let source = try EndlessSource()
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let front = try await program.front(of: server.port, in: scenario)
                let renewed = try await Certificate.make(in: scenario, issuer: "Culvert next CA")
                let both = "\(scenario.directory)/both.pem"
                try scenario.write(
                    [front.authority, renewed.authority].map { try String(contentsOfFile: $0, encoding: .utf8) }
                        .joined(),
                    to: both
                )
                let client = try scenario.client(
                    front.url,
                    ["0:127.0.0.1:\(source.service.port)", "\(FreePorts.next()):127.0.0.1:\(echo.port)"],
                    options: ["--ca", both]
                )
                let download = EndlessDownload(of: source, through: try await client.tunnel(to: source.service.port))
                let echoPort = try await client.tunnel(to: echo.port)
                try await eventually("the download is in progress") { download.count > 4 << 20 }

                try renewed.replace(#require(front.certificate), in: scenario)
                try await front.reload(in: scenario)
                try await Self.expectStatus("404", of: front, by: renewed, in: scenario)
                let before = download.count
                if !program.keepsTunnels {
                    _ = try await client.process.logLine { $0.contains("session resumed") }
                }
                try await eventually("the download continues") { download.count > before + 4 << 20 }
                try await expectEcho(through: echoPort)
                #expect(!download.hasEnded && client.process.output.lines.count == 2, "\(client.process)")
                source.finish()
                #expect(try await download.end() == .end)
                #expect(download.count == source.count, "every byte has arrived")
                #expect(download.isIntact)
                // A client that connects after the reload gets the new certificate.
                let next = try scenario.client(
                    front.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--ca", renewed.authority, "--name", "next"]
                )
                try await expectEcho(through: next.tunnel(to: echo.port))
            }
        }

        @Test(
            "The port is kept for a client that the front cut off, even if the front sent an unmasked Close",
            .needs(.openssl, .caddy)
        )
        func keptPort() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let front = try await Caddy.front(of: server.port, in: scenario)
                let remotes = ["\(try FreePorts.next()):127.0.0.1:\(echo.port)"]
                let owner = try scenario.client(
                    front.url,
                    remotes,
                    options: ["--ca", front.authority, "--name", "owner"]
                )
                let port = try await owner.tunnel(to: echo.port)
                let other = try scenario.client(server.url, remotes, options: ["--name", "other"])
                _ = try await other.process.logLine { $0.contains("is held by") }
                // The stopped owner cannot reconnect before the other client asks.
                owner.process.signal(SIGSTOP)
                try await front.reload(in: scenario)
                _ = try await other.process.logLine { $0.contains("is kept for") }
                owner.process.signal(SIGCONT)
                _ = try await owner.process.logLine { $0.contains("session resumed") }
                try await expectEcho(through: port)
                #expect(other.process.output.lines.isEmpty)
            }
        }

        @Test(
            "The server logs the client's address from a trusted front, and ignores that of any other peer",
            .needs(.openssl, .tinyproxy),
            arguments: FrontProgram.here,
            [true, false]
        )
        func forwarded(_ program: FrontProgram, _ isTrusted: Bool) async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: isTrusted ? ["--trusted-front", "127.0.0.1"] : [])
                let front = try await program.front(of: server.port, in: scenario)
                try await Self.expectPeer(isTrusted, server, front, in: scenario)
            }
        }

        @Test(
            "A PROXY v2 header is accepted from a trusted front; from any other peer it is an invalid request",
            .needs(.openssl, .tinyproxy, .haproxy)
        )
        func proxyProtocol() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: ["--trusted-front", "127.0.0.1"])
                let front = try await HAProxy.front(of: server.port, in: scenario, speaksPROXY: true)
                try await Self.expectPeer(true, server, front, in: scenario)
            }
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let front = try await HAProxy.front(of: server.port, in: scenario, speaksPROXY: true)
                let client = try scenario.client(
                    front.url,
                    ["0:127.0.0.1:9"],
                    options: ["--ca", front.authority, "--max-retries", "0"]
                )
                #expect(try await client.process.exitStatus() != .exited(0))
                #expect(client.process.output.lines.isEmpty)
            }
        }

        /// Connects a client to the front from 127.0.0.2, and checks its address in the server's log.
        private static func expectPeer(
            _ isTrusted: Bool,
            _ server: CulvertServer,
            _ front: any Front,
            in scenario: Scenario
        ) async throws {
            let web = try TCPService.web(page: PathTests.page)
            let proxy = try await Tinyproxy.start(in: scenario, source: "127.0.0.2")
            let client = try scenario.client(
                front.url,
                ["0:127.0.0.1:\(web.port)"],
                options: ["--ca", front.authority, "--proxy", proxy.url]
            )
            try await expectPage(through: client.tunnel(to: web.port))
            let line = try await server.process.logLine { $0.contains("peer=") }
            if isTrusted {
                #expect(line.contains("peer=127.0.0.2 ") && line.contains("front=127.0.0.1:"), "\(line)")
            } else {
                #expect(line.contains("peer=127.0.0.1:") && !line.contains("127.0.0.2"), "\(line)")
            }
        }

        /// The status of the front's answer as curl prints it; 000 if curl does not trust the certificate.
        private static func status(
            _ path: String,
            of front: any Front,
            by certificate: Certificate? = nil,
            in scenario: Scenario
        ) async throws -> String {
            let process = try scenario.start(
                "curl",
                Program.curl.required(),
                [
                    "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--noproxy", "*", "--max-time",
                    "10", "--cacert", certificate?.authority ?? front.authority,
                    "https://localhost:\(front.port)\(path)",
                ]
            )
            _ = try await process.exitStatus()
            return process.output.text
        }

        /// Waits until the front uses this certificate.
        private static func expectStatus(
            _ wanted: String,
            of front: any Front,
            by certificate: Certificate,
            in scenario: Scenario
        ) async throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while true {
                let found = try await status("/elsewhere", of: front, by: certificate, in: scenario)
                if found == wanted { return }
                try require(.now < deadline, "after the reload the status is \(found). \(front.process)")
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}

extension FrontProgram {
    /// Whether its connections survive its reload.
    fileprivate var keepsTunnels: Bool { self != .caddy }

    /// The installed fronts; in CI all, so that a missing one fails.
    static var here: [FrontProgram] { allCases.filter { $0.program.path != nil || TestRun.isCI } }
}

/// The bytes that a source repeats, so that the receiver can check them.
private let pattern = randomBytes(1 << 20)

/// Sends the pattern as a service until ``finish()``.
private final class EndlessSource: Sendable {
    let service: TCPService
    private let state: State

    private final class State: Sendable {
        let isFinishing = Atomic(false)
        let count = Atomic(0)
    }

    init() throws {
        let state = State()
        self.state = state
        service = try TCPService { socket in
            while !state.isFinishing.load(ordering: .relaxed) {
                let start = state.count.load(ordering: .relaxed) % pattern.count
                try socket.send(Array(pattern[start..<start + 32_768]))
                state.count.add(32_768, ordering: .relaxed)
                // Limits the load on the machine.
                Thread.sleep(forTimeInterval: 0.001)
            }
            try socket.finishSending()
            _ = try socket.drain()
        }
    }

    /// The number of bytes sent to the only visitor.
    var count: Int { state.count.load(ordering: .relaxed) }

    func finish() {
        state.isFinishing.store(true, ordering: .relaxed)
    }
}

/// Reads an ``EndlessSource`` as a visitor, and compares the bytes with the pattern.
private final class EndlessDownload: Sendable {
    private struct State {
        var count = 0
        var isIntact = true
        var end: Result<TCPSocket.Ending, any Error>?
    }

    private let state = Mutex(State())

    init(of source: EndlessSource, through port: UInt16) {
        Thread.detachNewThread { [self] in
            let end = Result { try receive(TCPSocket(port: port)) }
            state.withLock { $0.end = end }
        }
    }

    private func receive(_ socket: TCPSocket) throws -> TCPSocket.Ending {
        do {
            while true {
                let bytes = try socket.receive()
                if bytes.isEmpty { return .end }
                state.withLock { state in
                    let start = state.count % pattern.count
                    let expected = (pattern[start...] + pattern[..<start]).prefix(bytes.count)
                    state.isIntact = state.isIntact && bytes.elementsEqual(expected)
                    state.count += bytes.count
                }
            }
        } catch SocketError.reset {
            return .reset
        }
    }

    var count: Int { state.withLock { $0.count } }
    var isIntact: Bool { state.withLock { $0.isIntact } }
    var hasEnded: Bool { state.withLock { $0.end != nil } }

    /// Waits for the end of the stream.
    func end() async throws -> TCPSocket.Ending {
        try await eventually("the download ends") { try self.state.withLock { try $0.end?.get() } }
    }
}
