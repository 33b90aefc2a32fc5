import ByteText
import NIOCore
import Testing

@testable import Mux

/// Seeded mutations of valid traffic. A session never traps; it gives frames, actions or one typed error.
@Suite struct FuzzTests {
    /// Frames that a peer of `role` could send, in a legal order.
    private static func traffic(to role: Role) -> [OutboundFrame] {
        let ids = [StreamID(2), StreamID(4)]
        var frames: [OutboundFrame] = []
        for id in ids {
            if role == .client { frames.append(visit.frame(id)) } else { frames.append(OutboundFrame(.accept, id)) }
            frames.append(OutboundFrame(.data, id, bytes(50)))
            frames.append(OutboundFrame(.credit, id, number: 300_000))
        }
        if role == .client {
            frames.append(Binding(tunnel: 0, address: "::", port: 80).frame)
            frames.append(Refusal(.portInUse, "é taken", retryAfter: 1).frame(.unbound, tunnel: 0))
        } else {
            frames.append(BindRequest(tunnel: 0, address: "127.0.0.1", port: 80).frame)
            frames.append(OpenRequest(destination: "db.internal:5432", visitor: "127.0.0.1:1").frame(StreamID(1)))
            frames.append(Unbinding(tunnel: 0).frame)
            frames.append(BindRequest(tunnel: 1, address: "/run/x.sock", port: 0, kind: .udp).frame)
            frames.append(TunnelState(tunnel: 0, isUp: false, reason: "refused").frame)
        }
        frames.append(OpenRequest(tunnel: 0, kind: .udp, visitor: "203.0.113.9:53").frame(StreamID(6)))
        frames.append(OutboundFrame(.datagram, StreamID(6), bytes(20)))
        frames += [OutboundFrame(.ping, number: 1), OutboundFrame(.pong, number: 1), OutboundFrame(.ack, number: 1)]
        frames += [
            OutboundFrame(.end, ids[0], number: 50), ResetCode.refused.frame(ids[1], after: 50),
            Refusal(.busy, "x").frame(.goAway),
        ]
        return frames
    }

    private static func mutate(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] = .random(in: .min ... .max, using: &random)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert([0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)], at: index)
            case 4: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            default: bytes[index...] = [UInt8](repeating: 0xFF, count: 8)[...]
            }
        }
        return bytes
    }

    /// The message as a frame, in random chunks; nil if the assembler refuses it.
    private static func assemble(_ message: [UInt8], _ random: inout SplitMix) throws(MuxError) -> InboundFrame? {
        var assembler = FrameAssembler()
        assembler.isAdmitted = Bool.random(using: &random)
        var rest = buffer(message)
        while true {
            let length = min(rest.readableBytes, Int.random(in: 0...40, using: &random))
            let chunk = rest.readSlice(length: length) ?? ByteBuffer()
            if let frame = try assembler.receive(chunk, isLast: rest.readableBytes == 0) { return frame }
        }
    }

    @Test(
        "M1-M30 mutated traffic never traps, and every breach has a typed error",
        arguments: [
            Role.client, .server,
        ]
    )
    func session(role: Role) {
        var random = SplitMix(state: role == .client ? 0xC1 : 0x5E)
        let traffic = Self.traffic(to: role).map(\.wire)
        var errors: [MuxError.Kind: Int] = [:]
        var delivered = 0
        let end = ContinuousClock.now + .milliseconds(400)
        while ContinuousClock.now < end {
            var session = MuxTests.session(role)
            var now = Instant.start
            if role == .server { for _ in 0..<2 { _ = session.open(visit, now: now) } }
            if role == .client { session.bind(BindRequest(tunnel: 0, address: "", port: 0)) }
            _ = session.frames()
            do throws(MuxError) {
                for _ in 0..<40 {
                    now = now + .milliseconds(Int64.random(in: 0...500, using: &random))
                    let next = Int.random(in: traffic.indices, using: &random)
                    let message = Self.mutate(traffic[next], &random)
                    guard let frame = try Self.assemble(message, &random) else { continue }
                    try session.receive(frame, now: now)
                    for action in session.actions() {
                        switch action {
                        case .open(let id, _):
                            session.accept(id, now: now)
                            session.write(id, bytes(30))
                        case .deliver(let id, let bytes):
                            delivered += bytes.readableBytes
                            session.consumed(id, bytes.readableBytes, now: now)
                        case .end(let id): session.finish(id)
                        default: break
                        }
                    }
                    try session.tick(now: now)
                    _ = session.frames(now)
                }
            } catch {
                errors[error.kind, default: 0] += 1
                _ = session.end(Refusal(error.code, error.detail))
                #expect(session.holdings == Session.Holdings())
            }
        }
        #expect(errors.count >= 7 && delivered > 0, "\(errors)")
    }

    @Test("A14 mutated handshakes never trap and never establish a session")
    func handshakes() throws {
        var random = SplitMix(state: 0x0A)
        var pair = try HandshakePair(HandshakePair.token)
        let challenge = pair.server.challenge
        let client = pair.client
        let authenticate = try pair.authenticate()
        let waiting = pair.client
        let server = pair.server
        let verified = try #require(try pair.verify(authenticate, pair.credentials.verifier))
        let welcome = try verified.frame(HandshakePair.terms)
        var resuming = try HandshakePair(HandshakePair.token)
        let resume = try ResumeHandshakeTests.ask(&resuming, ResumeHandshakeTests.ticket())
        let (resumingClient, resumingServer) = (resuming.client, resuming.server)
        _ = try resuming.server.receive(resume.arrived)
        let proved = try resuming.server.verifyResume(ResumeHandshakeTests.keys, decoySecret: HandshakePair.decoySecret)
        let accepted = try #require(proved)
        let resumed = try #require(accepted.resumed(received: 42)).frame
        var errors: [MuxError.Kind: Int] = [:]
        let end = ContinuousClock.now + .milliseconds(400)
        while ContinuousClock.now < end {
            let original = [challenge, authenticate, welcome, resume, resumed][Int.random(in: 0..<5, using: &random)]
            let message = Self.mutate(original.wire, &random)
            guard message != original.wire else { continue }
            do throws(MuxError) {
                guard let frame = try Self.assemble(message, &random) else { continue }
                var (server, client, waiting) = (server, client, waiting)
                if original == authenticate, case .verify = try server.receive(frame) {
                    let verified = try server.verify(pair.credentials.verifier, decoySecret: HandshakePair.decoySecret)
                    #expect(verified == nil)
                } else if original == challenge {
                    _ = try client.receive(frame)
                } else if original == welcome, case .established = try waiting.receive(frame) {
                    Issue.record("established by \(Base16.encoded(message))")
                } else if original == resume {
                    var server = resumingServer
                    guard case .resume = try server.receive(frame) else { continue }
                    let proof = try server.verifyResume(
                        ResumeHandshakeTests.keys,
                        decoySecret: HandshakePair.decoySecret
                    )
                    #expect(proof == nil, "resumed by \(Base16.encoded(message))")
                } else if original == resumed {
                    var client = resumingClient
                    if case .resumed = try client.receive(frame) {
                        Issue.record("resumed by \(Base16.encoded(message))")
                    }
                }
            } catch {
                errors[error.kind, default: 0] += 1
            }
        }
        #expect(errors.count >= 6, "\(errors)")
    }
}
