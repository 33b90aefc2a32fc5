import NIOCore
import Seal
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelCore

/// A sealed carrier between a path that does anything and a session.
@Suite("A sealed carrier")
struct SealedCarrierTests {
    private static let roles = [WebSocketRole.client, .server]
    private static let agreement = DeflateAgreement(
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 15,
        clientMaxWindowBits: 15,
        options: DeflateOptions()
    )

    @Test("Each frame is one sealed message, masked by a client alone", arguments: roles)
    func sends(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let payloads = [[], [1, 2, 3], randomBytes(5_000), randomBytes(MuxLimits.maximumData)]
        for payload in payloads { rig.carrier.send(SealedRig.data(payload)) }
        rig.carrier.flush()
        let wire = try rig.writtenBytes()
        #expect((wire[1] & 0x80 != 0) == (role == .client))
        #expect(wire.firstRange(of: payloads[2].prefix(16)) == nil)
        var reader = RawFrameReader()
        reader.append(wire)
        for payload in payloads {
            let next = reader.next()
            let frame = try #require(next)
            #expect(frame.head == RawFrame.binary)
            #expect(frame.payload.count == MuxLimits.headerLength + payload.count + Sealer.overhead)
            let content = try rig.peer.open(ByteBuffer(bytes: frame.payload))
            #expect(content == [0x22, 0, 0, 0, 0, 0, 0, 2] + payload)
        }
        let more = reader.next()
        #expect(more == nil)
    }

    @Test(
        "The beginning of a message before the seal ends the carrier, so that no sealed rest completes it",
        arguments: roles,
        [1, 8, 30]
    )
    func beginningInClear(role: WebSocketRole, count: Int) throws {
        let rig = try SealedRig(role, isSealed: false)
        let forged = [0x22, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 7, count: 22)
        // A binary message without FIN. What is sealed could be its rest.
        rig.receive(RawFrame(head: 0x02, payload: Array(forged.prefix(count))))
        #expect(rig.channel.isActive)
        rig.carrier.seal(try SealPair.make().client)
        rig.channel.embeddedEventLoop.run()
        #expect(!rig.channel.isActive && rig.receiver.frames.isEmpty)
        #expect(rig.receiver.losses.first?.isAltered == true)
    }

    @Test("The peer's sealed messages arrive as frames, whole and byte by byte", arguments: roles)
    func receives(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        for payload in [[], [1], randomBytes(300)] {
            rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data(payload))))
            for byte in rig.wire(RawFrame(payload: try rig.sealed(SealedRig.data(payload)))) { rig.receive([byte]) }
            #expect(rig.receiver.payloads.suffix(2) == [payload, payload])
        }
        #expect(rig.receiver.losses.isEmpty)
    }

    @Test("The longest frames of the protocol arrive sealed", arguments: roles)
    func longestFrames(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let data = randomBytes(MuxLimits.maximumData)
        let datagram = randomBytes(MuxLimits.maximumDatagram)
        rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data(data))))
        let shown = OutboundFrame(data: ByteBuffer(bytes: data), of: StreamID(2), at: 7, showsOffset: true)
        rig.receive(RawFrame(payload: try rig.sealed(shown)))
        rig.receive(
            RawFrame(payload: try rig.sealed(OutboundFrame(.datagram, StreamID(4), ByteBuffer(bytes: datagram))))
        )
        #expect(rig.receiver.losses.isEmpty && rig.receiver.violations.isEmpty, "\(rig.receiver.losses)")
        #expect(rig.receiver.payloads == [data, data, datagram])
        #expect(rig.receiver.frames.map(\.offset) == [nil, 7, nil])
    }

    @Test("The longest frames of the protocol arrive on a carrier that is not sealed too", arguments: roles)
    func longestFramesInClear(role: WebSocketRole) throws {
        let rig = try SealedRig(role, isSealed: false)
        for (type, count) in [(FrameType.data, MuxLimits.maximumData), (.datagram, MuxLimits.maximumDatagram)] {
            rig.receive(RawFrame(payload: [type.rawValue, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 1, count: count)))
        }
        #expect(rig.receiver.losses.isEmpty && rig.receiver.violations.isEmpty, "\(rig.receiver.losses)")
        #expect(rig.receiver.frames.map(\.payloadLength) == [MuxLimits.maximumData, MuxLimits.maximumDatagram])
    }

    @Test("A message in 32 fragments arrives, also with a ping between them; one in 33 is the path's", arguments: roles)
    func fragments(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let payload = randomBytes(1_000)
        for cuts in [[0], [1], [500, 1], [Int](repeating: 30, count: 31)] {
            let frames = RawFrame.fragments(try rig.sealed(SealedRig.data(payload)), cuts)
            for frame in frames { rig.receive(frame, RawFrame(head: RawFrame.pong, payload: [])) }
            #expect(rig.receiver.payloads.last == payload)
        }
        #expect(rig.receiver.frames.count == 4 || rig.receiver.isAltered)
        let other = try SealedRig(role)
        for frame in RawFrame.fragments(try other.sealed(SealedRig.data(payload)), [Int](repeating: 30, count: 32)) {
            other.receive(frame)
        }
        #expect(other.receiver.frames.isEmpty && other.receiver.isAltered)
    }

    @Test("A compressed message is refused on a sealed carrier, and none is sent", arguments: roles, [false, true])
    func compression(role: WebSocketRole, sealsFirst: Bool) throws {
        let rig = try SealedRig(role, deflate: Self.agreement, sealsFirst: sealsFirst)
        rig.carrier.send(SealedRig.data([UInt8](repeating: 7, count: 4_000)))
        rig.carrier.flush()
        let written = try rig.written()
        let frame = try #require(written.first)
        #expect(frame.head == RawFrame.binary && frame.payload.count == 4_000 + 24)
        rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data([1]))))
        #expect(rig.receiver.payloads == [[1]])
        rig.receive(RawFrame(head: 0xC2, payload: try rig.sealed(SealedRig.data([2]))))
        #expect(rig.receiver.payloads == [[1]])
        #expect(rig.receiver.isAltered)
    }

    /// What breaks RFC 6455, each of a valid message.
    static let breaches: [(name: String, frames: @Sendable ([UInt8]) -> [RawFrame])] = [
        ("a reserved opcode", { [RawFrame(head: 0x83, payload: $0)] }),
        ("a reserved control opcode", { _ in [RawFrame(head: 0x8B, payload: [])] }),
        ("RSV1", { [RawFrame(head: 0xC2, payload: $0)] }),
        ("RSV2", { [RawFrame(head: 0xA2, payload: $0)] }),
        ("RSV3", { [RawFrame(head: 0x92, payload: $0)] }),
        ("text", { [RawFrame(head: 0x81, payload: $0)] }),
        ("a continuation of nothing", { [RawFrame(head: 0x80, payload: $0)] }),
        ("a message inside another", { [RawFrame(head: 0x02, payload: $0), RawFrame(payload: $0)] }),
        ("a longer length form", { [RawFrame(payload: $0, length: .longest)] }),
        ("a frame of 2^62 bytes", { [RawFrame(payload: $0, length: .wrong(by: 1 << 62))] }),
        ("a frame of 65,536 bytes", { _ in [RawFrame(payload: [UInt8](repeating: 0, count: 65_536))] }),
        ("a ping in fragments", { _ in [RawFrame(head: 0x09, payload: [])] }),
        ("a ping of 126 bytes", { _ in [RawFrame(head: 0x89, payload: [UInt8](repeating: 1, count: 126))] }),
        ("a Close of one byte", { _ in [RawFrame(head: RawFrame.close, payload: [3])] }),
        ("21 pings", { _ in [RawFrame](repeating: RawFrame(head: RawFrame.ping, payload: [1]), count: 21) }),
        ("21 pongs", { _ in [RawFrame](repeating: RawFrame(head: RawFrame.pong, payload: [1]), count: 21) }),
    ]

    @Test("A breach of RFC 6455 is the path's if the carrier is sealed, and the peer's if not", arguments: roles)
    func breaches(role: WebSocketRole) throws {
        for (name, frames) in Self.breaches {
            for isSealed in [true, false] {
                let rig = try SealedRig(role, isSealed: isSealed)
                let message = try isSealed ? rig.sealed(SealedRig.data([1])) : [0x22, 0, 0, 0, 0, 0, 0, 2, 1]
                rig.receive(frames(message).flatMap { rig.wire($0) })
                #expect(rig.receiver.frames.isEmpty, "\(name)")
                #expect(isSealed ? rig.receiver.isAltered : rig.receiver.isViolation, "\(name), \(rig.receiver.losses)")
                #expect(!rig.channel.isActive, "\(name)")
            }
        }
    }

    @Test("A frame with the other role's masking is the path's", arguments: roles)
    func masking(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let frame = RawFrame(payload: try rig.sealed(SealedRig.data([1])))
        rig.receive(frame.wire(mask: role == .server ? nil : [1, 2, 3, 4]))
        #expect(rig.receiver.frames.isEmpty && rig.receiver.isAltered)
    }

    @Test("Twenty pings are answered, and the carrier goes on", arguments: roles)
    func allowedPings(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        for _ in 0..<20 { rig.receive(RawFrame(head: RawFrame.ping, payload: [1, 2])) }
        #expect(try rig.written().map(\.head) == [UInt8](repeating: RawFrame.pong, count: 20))
        rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data([1]))))
        #expect(rig.receiver.payloads == [[1]] && rig.receiver.losses.isEmpty)
    }

    @Test(
        "After a message that was altered nothing of the same read is believed, nor what comes later",
        arguments: roles
    )
    func nothingAfter(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let messages = try (0..<4).map { try rig.sealed(SealedRig.data([$0])) }
        var altered = messages[1]
        altered[0] ^= 1
        let all = [messages[0], altered, messages[1], messages[2]].flatMap { rig.wire(RawFrame(payload: $0)) }
        rig.receive(all)
        rig.receive(RawFrame(payload: messages[1]))
        rig.receive(RawFrame(payload: messages[2]))
        rig.receive(RawFrame(payload: messages[3]))
        #expect(rig.receiver.payloads == [[0]])
        #expect(rig.receiver.isAltered)
    }

    @Test("Plain messages, and those of 0, 15 and 16 bytes, are the path's", arguments: roles)
    func notSealed(role: WebSocketRole) throws {
        let plain: [UInt8] = [0x22, 0, 0, 0, 0, 0, 0, 2, 1]
        for message in [[], randomBytes(15), randomBytes(16), plain, plain + randomBytes(16), randomBytes(65_535)] {
            let rig = try SealedRig(role)
            rig.receive(RawFrame(payload: message))
            #expect(rig.receiver.frames.isEmpty && rig.receiver.isAltered, "\(message.count) bytes")
        }
    }

    @Test("What breaks the session's framing inside a message that opens is the peer's", arguments: roles)
    func breachInside(role: WebSocketRole) throws {
        let contents: [[UInt8]] = [
            [], [0x22], [0x22, 0, 0, 0, 0, 0, 0],
            // An unknown type, a reserved bit, DATA of the session, PING of a stream, an ACK of seven bytes.
            [0x99, 0, 0, 0, 0, 0, 0, 0], [0x22, 2, 0, 0, 0, 0, 0, 2, 1], [0x22, 0, 0, 0, 0, 0, 0, 0, 1],
            [0x30, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 0, count: 8),
            [0x32, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 7),
            // One byte beyond the limit of each kind, and the longest content that a seal takes.
            [0x22, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 0, count: MuxLimits.maximumData + 1),
            [0x26, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 0, count: MuxLimits.maximumDatagram + 1),
            [0x12, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: MuxLimits.maximumControl + 1),
            [0x22, 0, 0, 0, 0, 0, 0, 2] + [UInt8](repeating: 0, count: Sealer.longestMessage - 8),
        ]
        for content in contents {
            let rig = try SealedRig(role)
            rig.receive(RawFrame(payload: Array(try rig.peer.seal(content).readableBytesView)))
            #expect(rig.receiver.frames.isEmpty, "\(content.count) bytes")
            #expect(rig.receiver.violations.count == 1, "\(content.count) bytes")
            #expect(rig.receiver.isViolation, "\(content.count) bytes: \(rig.receiver.losses)")
        }
    }

    @Test("A Close of the path ends the carrier, and is neither altered nor a breach", arguments: roles)
    func close(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        rig.receive(RawFrame(head: RawFrame.close, payload: [3, 232]))
        let loss = try #require(rig.receiver.losses.first)
        #expect(loss.isClosedByPeer && !loss.isAltered && !loss.isProtocolViolation)
    }

    @Test("The keys of a seal serve one carrier: a second use ends it", arguments: roles)
    func keysOnce(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        let keys = try SealPair.make().client
        _ = keys.take()
        rig.carrier.seal(keys)
        rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data([1]))))
        #expect(!rig.channel.isActive && rig.receiver.frames.isEmpty && rig.receiver.losses.count == 1)
    }
}
