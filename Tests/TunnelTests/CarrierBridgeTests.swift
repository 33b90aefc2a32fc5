import Mux
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import TunnelCore

/// A carrier on another event loop than its session's, each loop turned by hand.
@Suite("A carrier on another event loop")
struct CarrierBridgeTests {
    /// The carrier, its channel and its loop, and the bridge on the session's loop.
    private struct Scene {
        let session = EmbeddedEventLoop()
        let channel = EmbeddedChannel()
        let witness = BridgeWitness()
        let bridge: CarrierBridge
        private let peer = Peer()

        init() throws {
            let carrier = Carrier(role: .server, deflate: nil, receiver: BridgeWitness())
            try channel.pipeline.syncOperations.addHandler(carrier)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            bridge = CarrierBridge.build(carrier, from: channel.embeddedEventLoop, to: session)()
            bridge.admit(witness)
        }

        /// Turns both loops until nothing is left to do.
        func turn() {
            for _ in 0..<3 {
                channel.embeddedEventLoop.run()
                session.run()
            }
        }

        /// The peer sends a frame.
        func receive(_ frame: OutboundFrame) throws { try channel.writeInbound(peer.encode(frame)) }

        /// What the peer has got since the last time.
        func sent() throws -> [FrameType] {
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) { peer.connection.receive(bytes) }
            return try peer.frames()
        }
    }

    /// The client's end of the WebSocket.
    private final class Peer {
        var connection = Connection(role: .client)
        private var assembler = FrameAssembler()

        init() { assembler.isAdmitted = true }

        func encode(_ frame: OutboundFrame) throws -> ByteBuffer {
            var (header, out) = (ByteBuffer(), ByteBuffer())
            frame.header.write(into: &header)
            try connection.encodeMessage(.binary, prefix: header, payload: frame.payload, into: &out)
            return out
        }

        func frames() throws -> [FrameType] {
            var types: [FrameType] = []
            while let event = try connection.nextEvent() {
                guard case .message(_, let piece, _, let isLast) = event else { continue }
                if let frame = try assembler.receive(piece, isLast: isLast) { types.append(frame.header.type) }
            }
            return types
        }
    }

    private static func data(_ count: Int) -> OutboundFrame {
        OutboundFrame(.data, StreamID(2), ByteBuffer(repeating: 7, count: count))
    }

    @Test("frames cross both ways in their order, and nothing before the loops have turned")
    func order() throws {
        let scene = try Scene()
        for frame in [Self.data(1), OutboundFrame(.end, StreamID(2))] { scene.bridge.send(frame) }
        scene.bridge.flush()
        try scene.receive(Self.data(3))
        try scene.receive(OutboundFrame(.end, StreamID(2)))
        #expect(try scene.sent().isEmpty && scene.witness.frames.isEmpty)
        scene.turn()
        #expect(try scene.sent() == [.data, .end])
        #expect(scene.witness.frames == [.data, .end])
    }

    @Test(
        "a carrier that takes nothing lets so much pile up on the bridge and no more, and is asked again when it does"
    )
    func backPressure() throws {
        let scene = try Scene()
        scene.channel.isWritable = false
        var count = 0
        while scene.bridge.isWritable {
            scene.bridge.send(Self.data(65_536))
            scene.bridge.flush()
            scene.turn()
            count += 1
        }
        #expect(count == 4)
        scene.channel.isWritable = true
        scene.channel.pipeline.fireChannelWritabilityChanged()
        scene.turn()
        #expect(scene.bridge.isWritable && scene.witness.wakings == 1)
        #expect(try scene.sent().count == 4)
    }

    @Test("while the session's loop is behind, the peer is not read beyond 1 MiB; then it is again")
    func loopIsBehind() throws {
        let scene = try Scene()
        let carrier = try scene.channel.pipeline.syncOperations.handler(type: Carrier.self)
        for _ in 0..<15 { try scene.receive(Self.data(65_536)) }
        #expect(carrier.isRead)
        try scene.receive(Self.data(65_536))
        #expect(!carrier.isRead && scene.witness.frames.isEmpty)
        scene.turn()
        #expect(carrier.isRead && scene.witness.frames.count == 16)
    }

    @Test("the end of the carrier comes behind its last frame, once; and nothing of it is left then")
    func end() throws {
        weak var bridge: CarrierBridge?
        weak var carrier: Carrier?
        do {
            let scene = try Scene()
            bridge = scene.bridge
            carrier = try scene.channel.pipeline.syncOperations.handler(type: Carrier.self)
            try scene.receive(Self.data(1))
            scene.channel.close(promise: nil)
            scene.turn()
            #expect(scene.witness.frames == [.data] && scene.witness.losses == 1)
            #expect(!scene.bridge.isWritable)
            // Whoever has not heard yet.
            scene.bridge.send(Self.data(1))
            scene.bridge.flush()
            scene.bridge.close(.goingAway, reason: "late")
            scene.turn()
        }
        #expect(bridge == nil && carrier == nil)
    }

    @Test("another carrier has taken over: what the old one still brings is nobody's, its end too, and it goes")
    func disowned() throws {
        weak var bridge: CarrierBridge?
        do {
            let scene = try Scene()
            bridge = scene.bridge
            try scene.receive(Self.data(1))
            scene.bridge.disown()
            scene.bridge.close(.goingAway, reason: "another carrier has taken over")
            scene.turn()
            #expect(scene.witness.frames.isEmpty)
            // No answer to the Close.
            scene.channel.embeddedEventLoop.advanceTime(by: .seconds(5))
            scene.turn()
            #expect(!scene.channel.isActive && scene.witness.losses == 0)
        }
        #expect(bridge == nil)
    }

    @Test("a frame that breaks the rules is told before the loss")
    func violation() throws {
        let scene = try Scene()
        var connection = Connection(role: .client)
        var out = ByteBuffer()
        try connection.encodeMessage(.binary, prefix: ByteBuffer(), payload: ByteBuffer(bytes: [0xEE]), into: &out)
        _ = try? scene.channel.writeInbound(out)
        scene.turn()
        #expect(scene.witness.violations == 1 && scene.witness.losses == 1)
    }
}

/// Notes what a bridge tells its session.
private final class BridgeWitness: CarrierReceiver {
    var frames: [FrameType] = []
    var wakings = 0
    var violations = 0
    var losses = 0

    func carrier(received frame: InboundFrame) { frames.append(frame.header.type) }
    func carrierReadCompleted() {}
    func carrierBecameWritable() { wakings += 1 }
    func carrier(violatedBy error: MuxError) { violations += 1 }
    func carrierLost(_ loss: CarrierLoss) { losses += 1 }
}
