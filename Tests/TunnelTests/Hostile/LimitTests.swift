import Mux
import NIOCore
import TestSupport
import Testing

@testable import TunnelServer

extension HostileTests {
    /// Configured limits, each tested at the limit and one beyond.
    @Suite(.serialized)
    struct LimitTests {
        @Test("X9 X16 a port admits visitors at its configured rate, from all addresses together; the others wait")
        func visitorsPerSecond() async throws {
            try await RunningServer.with({ $0.serverLimits.visitorsPerSecond = 50 }) { server in
                try await onThread {
                    let port = try FreePorts.next()
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(port) == nil, "the port was refused")
                    let began = ContinuousClock.now
                    let visitors = try (0..<80).map { _ in try TCPSocket(port: port) }
                    for _ in visitors { _ = try peer.frame(.open) }
                    let taken = ContinuousClock.now - began
                    // Five visitors may be admitted at once, and the listener accepts several together.
                    try require(taken > .milliseconds(1_000), "80 visitors were admitted within \(taken)")
                    try require(taken < .seconds(10), "80 visitors waited \(taken)")
                }
            }
        }

        @Test("X9 visitors beyond a full session wait in a listen queue of the configured length")
        func publicListenQueue() async throws {
            let configure: (inout ServerConfiguration) -> Void = {
                $0.serverLimits.publicListenQueue = 1
                $0.limits.streams = 1
            }
            try await RunningServer.with(configure) { server in
                try await onThread {
                    let port = try FreePorts.next()
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(port) == nil, "the port was refused")
                    var visitors = [try TCPSocket(port: port)]
                    _ = try peer.frame(.open)
                    // Some visitors were accepted before the listener paused, and the kernel queues one more than the
                    // limit.
                    while visitors.count < 64, let next = try? TCPSocket(port: port, timeout: .milliseconds(300)) {
                        visitors.append(next)
                    }
                    try require(visitors.count < 64, "the queue is not limited")
                }
            }
        }

        @Test("The listen queues of the endpoint and of public ports have the configured length", arguments: [1, 77])
        func listenQueues(length: Int) async throws {
            let configure: (inout ServerConfiguration) -> Void = {
                $0.serverLimits.listenQueue = length
                $0.serverLimits.publicListenQueue = length + 1
            }
            try await RunningServer.with(configure) { server in
                try await onThread {
                    let port = try FreePorts.next()
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(port) == nil, "the port was refused")
                    let queues = (ListenQueue.length(of: server.port), ListenQueue.length(of: port))
                    try require(queues == (length, length + 1), "\(queues)")
                }
            }
        }

        @Test("An inherited socket gets the configured listen queue")
        func adoptedListenQueue() async throws {
            let opened = try OpenedSocket()
            let configure: (inout ServerConfiguration) -> Void = {
                $0.openSockets = [opened.descriptor]
                $0.serverLimits.listenQueue = 300
            }
            try await RunningServer.with(configure) { server in
                let length = ListenQueue.length(of: server.port)
                #expect(server.port == opened.port && length == 300)
            }
        }

        @Test("The handshake timeout is configured, and a reload changes it for new connections")
        func handshakeTimeout() async throws {
            try await RunningServer.with({ $0.serverLimits.handshakeTimeout = .milliseconds(400) }) { server in
                let first = try await Self.ending(server.port)
                #expect(first > .milliseconds(350) && first < .seconds(5))
                server.reload { $0.serverLimits.handshakeTimeout = .milliseconds(1_200) }
                try await eventually("the configuration is reloaded") { server.log.count("reloaded") == 1 }
                let second = try await Self.ending(server.port)
                #expect(second > .milliseconds(1_150) && second < .seconds(9))
            }
        }

        private static func ending(_ port: UInt16) async throws -> Duration {
            try await onThread {
                let began = ContinuousClock.now
                let bytes = try TCPSocket(port: port).drain().bytes
                try require(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 408 "), "\(bytes)")
                return .now - began
            }
        }

        @Test("A reload changes the limits of new sessions, and an existing session keeps its own")
        func reloadedSession() async throws {
            try await RunningServer.with({ $0.limits.tunnels = 1 }) { server in
                let old = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(FreePorts.next()) == nil, "the first port was refused")
                    return NonSendable(peer)
                }
                server.reload { $0.limits.tunnels = 2 }
                try await eventually("the configuration is reloaded") { server.log.count("reloaded") == 1 }
                try await onThread {
                    try require(
                        try old.value.bind(FreePorts.next(), tunnel: 1)?.code == .limit,
                        "a second one in the old"
                    )
                    let new = try WirePeer.session(server.port, .bob)
                    for tunnel in [UInt16(0), 1, 2] {
                        let refusal = try new.bind(FreePorts.next(), tunnel: tunnel)
                        try require(refusal?.code == (tunnel < 2 ? nil : .limit), "tunnel \(tunnel): \(refusal as Any)")
                    }
                }
            }
        }

        @Test("A connection to the backend ends after the configured idle time", .tags(.slow))
        func backendIdle() async throws {
            let release = Gate()
            let site = try TCPService.silent(until: release)
            defer { release.open() }
            let configure: (inout ServerConfiguration) -> Void = {
                $0.backend = Backend("http://127.0.0.1:\(site.port)")
                $0.serverLimits.backendIdle = .milliseconds(500)
                $0.serverLimits.backendConnections = 1
            }
            try await RunningServer.with(configure) { server in
                try await onThread {
                    let began = ContinuousClock.now
                    let first = try TCPSocket(port: server.port)
                    try first.send("GET /site HTTP/1.1\r\nHost: x\r\n\r\n")
                    while site.accepted == 0 { pause() }
                    let other = try TCPSocket(port: server.port)
                    try other.send("GET /site HTTP/1.1\r\nHost: x\r\n\r\n")
                    let answer = String(decoding: try other.drain().bytes, as: UTF8.self)
                    try require(answer.hasPrefix("HTTP/1.1 404 "), "a connection beyond the limit: \(answer)")
                    _ = try first.drain()
                    let taken = ContinuousClock.now - began
                    try require(taken > .milliseconds(450) && taken < .seconds(10), "ended after \(taken)")
                }
            }
        }

        @Test(
            "A backend request, its answer and the whole exchange have configured timeouts",
            .tags(.slow),
            arguments: [
                ("POST /site HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", "HTTP/1.1 408 "),
                ("GET /site HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 504 "),
            ]
        )
        func backendTimes(request: String, answer: String) async throws {
            let release = Gate()
            let site = try TCPService.silent(until: release)
            defer { release.open() }
            for isTotal in [false, true] {
                try await RunningServer.with({
                    $0.backend = Backend("http://127.0.0.1:\(site.port)")
                    if isTotal {
                        $0.serverLimits.backendTotal = .milliseconds(400)
                    } else {
                        ($0.serverLimits.backendBody, $0.serverLimits.backendAnswer) = (
                            .milliseconds(400), .milliseconds(400)
                        )
                    }
                }) { server in
                    try await onThread {
                        let stranger = try TCPSocket(port: server.port, timeout: .seconds(10))
                        try stranger.send(request)
                        let text = String(decoding: try stranger.drain().bytes, as: UTF8.self)
                        try require(isTotal ? text.isEmpty : text.hasPrefix(answer), text)
                    }
                }
            }
        }

        @Test("N9 a connect to an unresponsive service ends after the configured time, and the visitor is reset")
        func serviceTimeout() async throws {
            let service = try FullListener()
            try await RunningServer.with { server in
                let port = try FreePorts.next()
                try await RunningClient.with(.alice, server.port, "\(port):127.0.0.1:\(service.port)") {
                    $0.clientLimits.serviceTimeout = .milliseconds(400)
                } _: { client in
                    _ = try await client.tunnels.next("the tunnel is public")
                    try await onThread {
                        let began = ContinuousClock.now
                        let end = try TCPSocket(port: port).drain()
                        let taken = ContinuousClock.now - began
                        try require(end.ending == .reset && end.bytes.isEmpty, "\(end)")
                        try require(taken > .milliseconds(350) && taken < .seconds(9), "reset after \(taken)")
                    }
                    #expect(client.log.count("service cannot be reached") == 1)
                }
            }
        }

        @Test("A hop of a dial has the configured timeout, and the line has it")
        func hopTimeout() async throws {
            let release = Gate()
            let silent = try TCPService.silent(until: release)
            defer { release.open() }
            try await RunningClient.with(.alice, silent.port, "0:127.0.0.1:9") {
                $0.clientLimits.hopTimeout = .seconds(1)
                $0.maximumRetries = 0
            } _: { client in
                let end = try await client.ends.next("the client gives up")
                #expect(end.contains("within 1 s"), "\(end)")
            }
        }

        @Test("X4 a client that answers no ping is lost after the configured time, and a new session gets its port")
        func unresponsiveClient() async throws {
            let configure: (inout ServerConfiguration) -> Void = {
                $0.limits.pingInterval = .milliseconds(100)
                $0.limits.pingTimeout = .milliseconds(300)
            }
            try await RunningServer.with(configure) { server in
                let port = try FreePorts.next()
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(port) == nil, "the port was refused")
                    peer.isAlive = false
                    let began = ContinuousClock.now
                    _ = try peer.readToEnd()
                    try require(.now - began < .seconds(9), "noticed only after \(ContinuousClock.now - began)")
                    let again = try WirePeer.session(server.port, .alice)
                    try require(try again.bind(port) == nil, "the port is lost")
                }
                #expect(server.log.count("no answer to a ping") == 1)
            }
        }
    }
}

/// Passes a value that is not Sendable from one thread of a test to the next.
struct NonSendable<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
