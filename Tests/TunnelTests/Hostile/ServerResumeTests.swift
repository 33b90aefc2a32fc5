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
    /// Clients that bring a session another carrier, and strangers who try.
    @Suite(.serialized)
    struct ServerResumeTests {
        /// A server that keeps sessions for as long as one does by default, and not for the moment that other tests want.
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
            case .forgotten: .unknownSession
            default: nil
            }
        }

        @Test("A3 a RESUME that was overheard, another client's key and another session's are all unknown")
        func strangers() async throws {
            try await Self.withServer { server in
                try await onThread {
                    let (alice, ticket) = try WirePeer.lastingSession(server.port, .alice)
                    let (bob, bobs) = try WirePeer.lastingSession(server.port, .bob)
                    // Heard on one carrier, said on the next.
                    let heard = try WirePeer.dial(server.port)
                    let (_, resume) = try heard.resumption(.alice, ticket, epoch: 1, received: 0)
                    heard.socket.abort()
                    let thief = try WirePeer.dial(server.port)
                    _ = try thief.frame(.challenge)
                    try thief.send(resume)
                    let refusal = try WirePeer.refusalCode(thief.frame(.refused, .resumed))
                    try require(refusal == .unknownSession, "\(refusal)")
                    // One try on each carrier.
                    try thief.send(resume)
                    try require(try thief.toTheEnd().frames.map(\.header.type) == [.refused], "a second RESUME")
                    // A client that is known, and its own key, for somebody else's session; and a session that is not.
                    for session in [ticket.session, [UInt8](repeating: 9, count: 16)] {
                        let foreign = WireTicket(session: session, key: bobs.key)
                        let (peer, answer) = try WirePeer.resume(server.port, .bob, foreign, epoch: 9, received: 0)
                        guard case .forgotten(let authenticate) = answer else {
                            throw ScenarioFailure(description: "\(answer)")
                        }
                        // Who has no session any more begins one, on the same carrier.
                        try peer.send(authenticate)
                        _ = try peer.frame(.welcome)
                        try peer.goodbye()
                    }
                    // Nobody has been touched by any of this.
                    for peer in [alice, bob] {
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        try peer.goodbye()
                    }
                }
                #expect(server.log.count("session resumed") == 0)
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("of two carriers the higher epoch wins: an old one, the same and any after the last are refused")
        func epochs() async throws {
            try await Self.withServer { server in
                try await onThread {
                    let (first, ticket) = try WirePeer.lastingSession(server.port, .alice)
                    let (second, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: 5, received: 0)
                    try require(try first.toTheEnd().code == .goingAway, "the first carrier is closed in order")
                    for epoch: UInt64 in [5, 4, 0] {
                        let (peer, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: epoch, received: 0)
                        try require(Self.code(answer) == .replaced, "\(epoch): \(answer)")
                        _ = try peer.toTheEnd()
                    }
                    let (third, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: .max, received: 0)
                    _ = try second.toTheEnd()
                    for epoch: UInt64 in [.max, 6] {
                        let (_, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: epoch, received: 0)
                        try require(Self.code(answer) == .replaced, "\(epoch): \(answer)")
                    }
                    try third.send(.ping(7))
                    _ = try third.frame(.pong)
                    try third.goodbye()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("fifty RESUMEs at once: one carrier is left, that of the highest epoch, and one session")
        func manyAtOnce() async throws {
            try await Self.withServer { server in
                let ticket = try await onThread { try WirePeer.lastingSession(server.port, .alice).ticket }
                let alive = Mailbox<UInt64>()
                // A session that has ended is unknown to whoever is still at the door: the last one out ends it.
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
                        // Its place is nobody's any more.
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        alive.put(epoch)
                        alone.wait()
                        try peer.goodbye()
                    } else {
                        _ = try peer.toTheEnd()
                    }
                }
                #expect(alive.all == [50])
                try await eventually("no session is left") { server.sessions == 0 }
                #expect(server.log.count("session opened") == 1)
            }
        }

        @Test("a count of frames that were never sent, or fewer than were acknowledged, ends the session and its port")
        func impossibleCounts() async throws {
            try await Self.withServer { server in
                for received: UInt64 in [0, 2, .max] {
                    let port = try FreePorts.next()
                    try await onThread {
                        let (peer, ticket) = try WirePeer.lastingSession(server.port, .alice)
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
                        let (code, frames, _) = try next.toTheEnd()
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
            "A20 a session of a client that was disabled or removed while it had no carrier is not resumed",
            arguments: [false, true]
        )
        func disabled(isRemoved: Bool) async throws {
            try await Self.withServer { server in
                let ticket = try await onThread {
                    let (peer, ticket) = try WirePeer.lastingSession(server.port, .alice)
                    peer.socket.abort()
                    return ticket
                }
                try await eventually("it waits") { server.log.count("the session waits for another one") == 1 }
                server.reload { configuration in
                    if isRemoved {
                        configuration.clients.removeFirst()
                    } else {
                        configuration.clients[0].isEnabled = false
                    }
                }
                try await eventually("it is reloaded") { server.log.count("reloaded") == 1 }
                try await eventually("no session is left") { server.sessions == 0 }
                try await onThread {
                    let (peer, answer) = try WirePeer.resume(server.port, .alice, ticket, epoch: 1, received: 0)
                    guard case .forgotten(let authenticate) = answer else {
                        throw ScenarioFailure(description: "\(answer)")
                    }
                    try peer.send(authenticate)
                    try require(try WirePeer.refusalCode(peer.frame(.refused)) == .credentials, "it was let in")
                }
            }
        }

        @Test(
            "as many sessions as a client may have; one more ends the one that has waited longest, and no other client's"
        )
        func sessionsOfAClient() async throws {
            try await Self.withServer {
                $0.serverLimits.sessionsPerClient = 3
            } _: { server in
                let port = try FreePorts.next()
                try await onThread {
                    let (alive, _) = try WirePeer.lastingSession(server.port, .alice, instance: 1)
                    let (first, bob) = try WirePeer.lastingSession(server.port, .bob)
                    first.socket.abort()
                    var tickets: [WireTicket] = []
                    for instance in 2...3 {
                        let (peer, ticket) = try WirePeer.lastingSession(server.port, .alice, instance: UInt8(instance))
                        if instance == 2 { _ = try peer.bind(port) }
                        peer.socket.abort()
                        while server.log.count("the session waits for another one") < instance { pause() }
                        tickets.append(ticket)
                    }
                    // The fourth takes the place of the second, and with it its port is free.
                    let (fourth, _) = try WirePeer.lastingSession(server.port, .alice, instance: 4)
                    while try fourth.bind(port) != nil { pause() }
                    let (_, second) = try WirePeer.resume(server.port, .alice, tickets[0], epoch: 1, received: 0)
                    try require(Self.code(second) == .unknownSession, "\(second)")
                    // The third is still there. All three have a carrier now, and the next client is asked to wait.
                    let (third, _) = try WirePeer.resumed(server.port, .alice, tickets[1], epoch: 1, received: 0)
                    let late = try WirePeer.dial(server.port)
                    try late.send(late.authentication(.alice, instance: 5).frame)
                    let refusal = try Refusal(late.frame(.refused, .welcome).payload, of: .refused)
                    try require(refusal.code == .busy && refusal.retryAfter == 10, "\(refusal)")
                    // Another client is not concerned.
                    let (bobs, _) = try WirePeer.resumed(server.port, .bob, bob, epoch: 1, received: 0)
                    for peer in [third, bobs, alive] {
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                        try peer.goodbye()
                    }
                    try fourth.goodbye()
                }
                try await eventually("no session is left") { server.sessions == 0 }
                #expect(server.log.count("it has as many sessions as it may have") == 1)
                // Places are given back.
                try await onThread {
                    for instance in UInt8(1)...3 {
                        try WirePeer.lastingSession(server.port, .alice, instance: instance).peer.goodbye()
                    }
                }
            }
        }

        @Test("a client that begins sessions and leaves them behind holds as many as it may, and no more")
        func sessionsLeftBehind() async throws {
            try await Self.withServer {
                $0.serverLimits.sessionsPerClient = 4
            } _: { server in
                try await onThread {
                    for round in 1...40 {
                        let (peer, _) = try WirePeer.lastingSession(server.port, .alice, instance: UInt8(round))
                        peer.socket.abort()
                        while server.log.count("the session waits for another one") < round { pause() }
                    }
                }
                try await eventually("four are left") { server.sessions == 4 }
            }
        }

        @Test(
            "a visitor's bytes are whole while the carrier changes event loops again and again, both ways, under pressure"
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
                        // In pieces, so that many carriers have their share; the reader is slower.
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
                    // Every other carrier is accepted on another loop.
                    #expect(server.log.count("session resumed") >= 6)
                    #expect(server.log.count("carrier lost") == 0 && client.log.count("carrier lost") == 0)
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("N29 a session, a resume and a visitor's bytes in segments of one byte each")
        func singleBytes() async throws {
            try await Self.withServer { server in
                let port = try FreePorts.next()
                try await onThread {
                    func drip(_ peer: WirePeer, _ frames: OutboundFrame...) throws {
                        for frame in frames { for byte in try peer.encode(frame) { try peer.socket.send([byte]) } }
                    }
                    let (peer, ticket) = try WirePeer.lastingSession(server.port, .alice)
                    try drip(peer, WirePeer.bindRequest(port))
                    _ = try peer.frame(.bound)
                    peer.socket.abort()
                    let next = try WirePeer.dial(server.port)
                    var (opening, resume) = try next.resumption(.alice, ticket, epoch: 1, received: 1)
                    try drip(next, resume)
                    guard case .resumed(received: 1, _) = try opening.receive(next.frame(.resumed, .refused)) else {
                        throw ScenarioFailure(description: "the RESUME was refused")
                    }
                    let visitor = try TCPSocket(port: port)
                    _ = try next.frame(.open)
                    try drip(next, OutboundFrame(.accept, StreamID(2)), WirePeer.data("byte by byte"))
                    let bytes = try visitor.receive(exactly: 12)
                    try require(bytes == Array("byte by byte".utf8), "\(bytes)")
                    try next.goodbye()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test(
            "P5 visitors who go while they wait are not opened; as many as the limit are taken in, and reset after their time"
        )
        func waitingRoom() async throws {
            try await Self.withServer {
                $0.serverLimits.waitingVisitors = 4
                $0.serverLimits.waitingTime = .seconds(1)
            } _: { server in
                let port = try FreePorts.next()
                try await onThread {
                    let (peer, ticket) = try WirePeer.lastingSession(server.port, .alice)
                    _ = try peer.bind(port)
                    peer.socket.abort()
                    while server.log.count("the session waits for another one") < 1 { pause() }
                    // Some go at once, and a crowd waits for as long as it may.
                    for _ in 0..<3 { try TCPSocket(port: port).abort() }
                    let crowd = try (0..<8).map { _ in try TCPSocket(port: port) }
                    let began = ContinuousClock.now
                    for visitor in crowd {
                        let ending = try visitor.drain().ending
                        try require(ending == .reset, "\(ending)")
                    }
                    // Those behind the first four waited in the listen queue, where it is not known since when.
                    try require(.now - began < .seconds(6), "\(ContinuousClock.now - began)")
                    // Nobody of them is there when a carrier is.
                    let last = try TCPSocket(port: port)
                    let (next, _) = try WirePeer.resumed(server.port, .alice, ticket, epoch: 1, received: 1)
                    let open = try next.frame(.open)
                    try require(open.header.stream == StreamID(2), "\(open.header)")
                    try next.send(OutboundFrame(.accept, StreamID(2)), WirePeer.data("hello"))
                    let greeting = try last.receive(exactly: 5)
                    try require(greeting == Array("hello".utf8), "\(greeting)")
                    try next.goodbye()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }
    }
}

/// Carries what only one thread at a time uses from one to the next.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

extension OutboundFrame {
    /// An ACK of so many counted frames.
    static func ack(_ count: UInt64) -> OutboundFrame {
        OutboundFrame(.ack, .session, ByteBuffer(integer: count))
    }
}
