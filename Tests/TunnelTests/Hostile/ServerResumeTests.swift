import NIOCore
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension HostileTests {
    /// Resumes by clients and attackers.
    @Suite(.serialized)
    struct ServerResumeTests {
        /// Runs a server with the default grace period, in place of the short one of other tests.
        private static func withServer(
            _ configure: (inout ServerConfiguration) -> Void = { _ in },
            _ body: @Sendable (RunningServer) async throws -> Void
        ) async throws {
            let lasting: (inout ServerConfiguration) -> Void = {
                $0.limits.grace = .seconds(120)
                configure(&$0)
            }
            try await RunningServer.with(lasting, body)
        }

        private static func code(_ answer: ClientHandshake.Action) -> RefusalCode? {
            switch answer {
            case .refused(let refusal): refusal.code
            case .denied: .unknownSession
            default: nil
            }
        }

        @Test("A3 a replayed RESUME, another client's key and another session's key are all refused as unknown")
        func strangers() async throws {
            try await Self.withServer { server in
                try await onThread {
                    let (alice, ticket) = try WirePeer.resumableSession(server.port, .alice)
                    let (bob, bobs) = try WirePeer.resumableSession(server.port, .bob)
                    // Replays the RESUME of another carrier.
                    let observed = try WirePeer.dial(server.port)
                    let (_, resume) = try observed.resumption(.alice, ticket, epoch: 1, received: 0)
                    observed.socket.abort()
                    let attacker = try WirePeer.dial(server.port)
                    _ = try attacker.frame(.challenge)
                    try attacker.send(resume)
                    let refusal = try WirePeer.refusalCode(attacker.frame(.refused, .resumed))
                    try require(refusal == .unknownSession, "\(refusal)")
                    // A carrier permits one attempt.
                    try attacker.send(resume)
                    try require(
                        try attacker.readToEnd().frames.map(\.header.type) == [.refused],
                        "a second RESUME was accepted"
                    )
                    // A known client with its own key, for another client's session and for an unknown session.
                    for session in [ticket.session, [UInt8](repeating: 9, count: 16)] {
                        let foreign = WireTicket(session: session, keys: bobs.keys)
                        let (peer, answer) = try WirePeer.resume(server.port, .bob, foreign, epoch: 9, received: 0)
                        guard case .denied(let authenticate) = answer else {
                            throw ScenarioFailure(description: "\(answer)")
                        }
                        // A client without a session begins a new one on the same carrier.
                        try peer.send(authenticate)
                        _ = try peer.frame(.welcome)
                        try peer.endSession()
                    }
                    // The existing sessions are not affected.
                    for peer in [alice, bob] {
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        try peer.endSession()
                    }
                }
                #expect(server.log.count("session resumed") == 0)
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("Of two carriers the one with the higher epoch wins, and lower or equal epochs are refused")
        func epochs() async throws {
            try await Self.withServer { server in
                try await onThread {
                    let (first, ticket) = try WirePeer.resumableSession(server.port, .alice)
                    let (second, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: 5, received: 0)
                    try require(try first.readToEnd().code == .goingAway, "the first carrier is closed in order")
                    for epoch: UInt64 in [5, 4, 0] {
                        let (peer, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: epoch, received: 0)
                        try require(Self.code(answer) == .replaced, "\(epoch): \(answer)")
                        _ = try peer.readToEnd()
                    }
                    let (third, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: .max, received: 0)
                    _ = try second.readToEnd()
                    for epoch: UInt64 in [.max, 6] {
                        let (_, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: epoch, received: 0)
                        try require(Self.code(answer) == .replaced, "\(epoch): \(answer)")
                    }
                    try third.send(.ping(7))
                    _ = try third.frame(.pong)
                    try third.endSession()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("Of 50 concurrent RESUMEs only the carrier with the highest epoch is left, and one session")
        func manyAtOnce() async throws {
            try await Self.withServer { server in
                let ticket = try await onThread { try WirePeer.resumableSession(server.port, .alice).ticket }
                let alive = Mailbox<UInt64>()
                // A RESUME after the session's end would be unknown, so the last carrier ends the session.
                let others = Mailbox<UInt64>()
                let alone = Gate()
                try await onThreads(50, width: 10) { index in
                    let epoch = UInt64(index + 1)
                    defer {
                        if epoch != 50 { others.put(epoch) }
                        if others.all.count == 49 { alone.open() }
                    }
                    let (peer, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: epoch, received: 0)
                    guard case .resumed = answer else {
                        return try require(Self.code(answer) == .replaced, "\(epoch): \(answer)")
                    }
                    if epoch == 50 {
                        // No other carrier can take over.
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        alive.put(epoch)
                        alone.wait()
                        try peer.endSession()
                    } else {
                        _ = try peer.readToEnd()
                    }
                }
                #expect(alive.all == [50])
                try await eventually("no session is left") { server.sessions == 0 }
                #expect(server.log.count("session opened") == 1)
            }
        }

        @Test("A count beyond the sent frames, or below the acknowledged ones, ends the session and its port")
        func impossibleCounts() async throws {
            try await Self.withServer { server in
                for received: UInt64 in [0, 2, .max] {
                    let port = try FreePorts.next()
                    try await onThread {
                        let (peer, ticket) = try WirePeer.resumableSession(server.port, .alice)
                        _ = try peer.bind(port)
                        try peer.send(.ack(1))
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        peer.socket.abort()
                        let (next, _) = try WirePeer.resumed(
                            server.port,
                            .alice,
                            ticket,
                            epoch: 1,
                            received: received
                        )
                        let (code, frames, _) = try next.readToEnd()
                        try require(frames.map(\.header.type) == [.goAway], "\(frames.map(\.header.type))")
                        try require(code == .protocolError, "\(String(describing: code))")
                        let (_, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: 2, received: 1)
                        try require(
                            Self.code(answer) == .unknownSession || Self.code(answer) == .replaced,
                            "\(answer)"
                        )
                    }
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test(
            "A20 a session is not resumed if its client was disabled or removed without a carrier",
            arguments: [false, true]
        )
        func disabled(isRemoved: Bool) async throws {
            try await Self.withServer { server in
                let ticket = try await onThread {
                    let (peer, ticket) = try WirePeer.resumableSession(server.port, .alice)
                    peer.socket.abort()
                    return ticket
                }
                try await eventually("the session waits") { server.log.count("the session waits for another one") == 1 }
                server.reload { configuration in
                    if isRemoved {
                        configuration.clients.removeFirst()
                    } else {
                        configuration.clients[0].isEnabled = false
                    }
                }
                try await eventually("the configuration is reloaded") { server.log.count("reloaded") == 1 }
                try await eventually("no session is left") { server.sessions == 0 }
                try await onThread {
                    let (peer, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: 1, received: 0)
                    guard case .denied(let authenticate) = answer else {
                        throw ScenarioFailure(description: "\(answer)")
                    }
                    try peer.send(authenticate)
                    try require(
                        try WirePeer.refusalCode(peer.frame(.refused)) == .credentials,
                        "the client was accepted"
                    )
                }
            }
        }

        @Test(
            "A session beyond a client's limit ends the one that has waited longest, and none of another client"
        )
        func sessionsOfAClient() async throws {
            try await Self.withServer {
                $0.serverLimits.sessionsPerClient = 3
            } _: { server in
                let port = try FreePorts.next()
                try await onThread {
                    let (alive, _) = try WirePeer.resumableSession(server.port, .alice, instance: 1)
                    let (first, bob) = try WirePeer.resumableSession(server.port, .bob)
                    first.socket.abort()
                    var tickets: [WireTicket] = []
                    for instance in 2...3 {
                        let (peer, ticket) = try WirePeer.resumableSession(
                            server.port,
                            .alice,
                            instance: UInt8(instance)
                        )
                        if instance == 2 { _ = try peer.bind(port) }
                        peer.socket.abort()
                        while server.log.count("the session waits for another one") < instance { pause() }
                        tickets.append(ticket)
                    }
                    // The fourth session ends the second, which frees the port.
                    let (fourth, _) = try WirePeer.resumableSession(server.port, .alice, instance: 4)
                    while try fourth.bind(port) != nil { pause() }
                    let (_, second) = try WirePeer.resume(server.port, .alice, tickets[0], epoch: 1, received: 0)
                    try require(Self.code(second) == .unknownSession, "\(second)")
                    // The third session still exists. All three have a carrier now, so the next one is refused.
                    let (third, _) = try WirePeer.resumed(server.port, .alice, tickets[1], epoch: 1, received: 0)
                    let late = try WirePeer.dial(server.port)
                    try late.send(late.authentication(.alice, instance: 5).frame)
                    let refusal = try Refusal(late.frame(.refused, .welcome).payload, of: .refused)
                    try require(refusal.code == .busy && refusal.retryAfter == 10, "\(refusal)")
                    // Another client's session is not affected.
                    let (bobs, _) = try WirePeer.resumed(server.port, .bob, bob, epoch: 1, received: 0)
                    for peer in [third, bobs, alive] {
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        try peer.endSession()
                    }
                    try fourth.endSession()
                }
                try await eventually("no session is left") { server.sessions == 0 }
                #expect(server.log.count("it has as many sessions as it may have") == 1)
                // Ended sessions free their slots.
                try await onThread {
                    for instance in UInt8(1)...3 {
                        try WirePeer.resumableSession(server.port, .alice, instance: instance).peer.endSession()
                    }
                }
            }
        }

        @Test("A client that abandons sessions holds at most its limit")
        func sessionsLeftBehind() async throws {
            try await Self.withServer {
                $0.serverLimits.sessionsPerClient = 4
            } _: { server in
                try await onThread {
                    for round in 1...40 {
                        let (peer, _) = try WirePeer.resumableSession(server.port, .alice, instance: UInt8(round))
                        peer.socket.abort()
                        while server.log.count("the session waits for another one") < round { pause() }
                    }
                }
                try await eventually("four sessions are left") { server.sessions == 4 }
            }
        }

        @Test(
            "A visitor's bytes arrive complete in both directions while carriers change event loops under load"
        )
        func otherLoops() async throws {
            let service = try TCPService { socket in
                while true {
                    let bytes = try socket.receive()
                    if bytes.isEmpty { return try socket.finishSending() }
                    try socket.send(bytes)
                }
            }
            try await Self.withServer { server in
                let port = try FreePorts.next()
                try await RunningClient.with(.alice, server.port, "\(port):127.0.0.1:\(service.port)") {
                    $0.maximumCarrierAge = .milliseconds(300)
                } _: { client in
                    _ = try await client.tunnels.next("the tunnel is public")
                    let visitor = UncheckedBox(try TCPSocket(port: port))
                    let sent = randomBytes(24_000_000)
                    async let sending: Void = onThread {
                        // Sends in parts, so that the transfer spans many carriers.
                        for start in stride(from: 0, to: sent.count, by: 400_000) {
                            try visitor.value.send(Array(sent[start..<min(start + 400_000, sent.count)]))
                            pause()
                        }
                        try visitor.value.finishSending()
                    }
                    let received = try await onThread {
                        var bytes: [UInt8] = []
                        while true {
                            let more = try visitor.value.receive()
                            if more.isEmpty { return bytes }
                            bytes += more
                            if bytes.count % 7 == 0 { pause() }
                        }
                    }
                    try await sending
                    #expect(received == sent)
                    // Every second carrier is accepted on another event loop.
                    #expect(server.log.count("session resumed") >= 6)
                    #expect(server.log.count("carrier lost") == 0 && client.log.count("carrier lost") == 0)
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("N29 a session, a resume and a visitor's bytes work in segments of one byte")
        func singleBytes() async throws {
            try await Self.withServer { server in
                let port = try FreePorts.next()
                try await onThread {
                    func drip(_ peer: WirePeer, _ frames: OutboundFrame...) throws {
                        for frame in frames { for byte in try peer.encode(frame) { try peer.socket.send([byte]) } }
                    }
                    let (peer, ticket) = try WirePeer.resumableSession(server.port, .alice)
                    try drip(peer, WirePeer.bindRequest(port))
                    _ = try peer.frame(.bound)
                    peer.socket.abort()
                    let next = try WirePeer.dial(server.port)
                    var (handshake, resume) = try next.resumption(.alice, ticket, epoch: 1, received: 1)
                    try drip(next, resume)
                    guard case .resumed(received: 1, _, _) = try handshake.receive(next.frame(.resumed, .refused))
                    else {
                        throw ScenarioFailure(description: "the RESUME was refused")
                    }
                    let visitor = try TCPSocket(port: port)
                    _ = try next.frame(.open)
                    try drip(next, OutboundFrame(.accept, StreamID(2)), WirePeer.data("byte by byte"))
                    let bytes = try visitor.receive(exactly: 12)
                    try require(bytes == Array("byte by byte".utf8), "\(bytes)")
                    try next.endSession()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test(
            "P5 a waiting visitor that disconnects gets no stream, and the others are limited in number and time"
        )
        func pendingVisitors() async throws {
            try await Self.withServer {
                $0.serverLimits.waitingVisitors = 4
                $0.serverLimits.waitingTime = .seconds(1)
            } _: { server in
                let port = try FreePorts.next()
                try await onThread {
                    let (peer, ticket) = try WirePeer.resumableSession(server.port, .alice)
                    _ = try peer.bind(port)
                    peer.socket.abort()
                    while server.log.count("the session waits for another one") < 1 { pause() }
                    // Some visitors disconnect at once, and the others wait until their timeout.
                    for _ in 0..<3 { try TCPSocket(port: port).abort() }
                    let visitors = try (0..<8).map { _ in try TCPSocket(port: port) }
                    let began = ContinuousClock.now
                    for visitor in visitors {
                        let ending = try visitor.drain().ending
                        try require(ending == .reset, "\(ending)")
                    }
                    // Visitors beyond the first four wait in the listen queue, where their time does not count.
                    try require(.now - began < .seconds(6), "\(ContinuousClock.now - began)")
                    // None of them is left when the next carrier arrives.
                    let last = try TCPSocket(port: port)
                    let (next, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: 1, received: 1)
                    let open = try next.frame(.open)
                    try require(open.header.stream == StreamID(2), "\(open.header)")
                    try next.send(OutboundFrame(.accept, StreamID(2)), WirePeer.data("hello"))
                    let received = try last.receive(exactly: 5)
                    try require(received == Array("hello".utf8), "\(received)")
                    try next.endSession()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }
    }
}

/// Passes a value that only one thread at a time uses.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

extension OutboundFrame {
    /// An ACK of counted frames.
    static func ack(_ count: UInt64) -> OutboundFrame {
        OutboundFrame(.ack, .session, ByteBuffer(integer: count))
    }
}
