import NIOCore
import NIOEmbedded
import Seal
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelCore

/// A carrier on another event loop than its session, with loops that the test runs.
@Suite("A carrier on another event loop")
struct CarrierBridgeTests {
    /// The carrier with its channel and loop, and the bridge with the session's loop.
    private struct BridgeRig {
        let session = EmbeddedEventLoop()
        let channel = EmbeddedChannel()
        let receiver = BridgeReceiver()
        let bridge: CarrierBridge
        private let peer = Peer()

        /// - Parameter isOpen: whether the session has answered the client's request.
        init(isOpen: Bool = true) throws {
            let carrier = Carrier(role: .server, deflate: nil, receiver: BridgeReceiver())
            try channel.pipeline.syncOperations.addHandler(carrier)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            bridge = CarrierBridge.build(carrier, from: channel.embeddedEventLoop, to: session)()
            bridge.admit(receiver)
            guard isOpen else { return }
            bridge.open(CarrierOpening(frame: OutboundFrame(.resumed), seal: nil))
            runLoops()
            #expect(try sent() == [.resumed])
        }

        /// Runs both loops until no task is left.
        func runLoops() {
            for _ in 0..<3 {
                channel.embeddedEventLoop.run()
                session.run()
            }
        }

        /// Receives a frame of the peer.
        func receive(_ frame: OutboundFrame) throws { try channel.writeInbound(peer.encode(frame)) }

        /// The frames that the peer has received since the last call.
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
            frame.writeHead(into: &header)
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

    @Test("Frames cross in both directions in order, and only after the loops have run")
    func order() throws {
        let rig = try BridgeRig()
        for frame in [Self.data(1), OutboundFrame(.end, StreamID(2), ByteBuffer(integer: UInt64(4)))] {
            rig.bridge.send(frame)
        }
        rig.bridge.flush()
        try rig.receive(Self.data(3))
        try rig.receive(OutboundFrame(.end, StreamID(2), ByteBuffer(integer: UInt64(4))))
        #expect(try rig.sent().isEmpty && rig.receiver.frames.isEmpty)
        rig.runLoops()
        #expect(try rig.sent() == [.data, .end])
        #expect(rig.receiver.frames == [.data, .end])
    }

    @Test(
        "The bridge queues a limited number of bytes for a blocked carrier, and continues when the carrier is writable"
    )
    func backPressure() throws {
        let rig = try BridgeRig()
        rig.channel.isWritable = false
        var count = 0
        while rig.bridge.isWritable {
            rig.bridge.send(Self.data(MuxLimits.maximumData))
            rig.bridge.flush()
            rig.runLoops()
            count += 1
        }
        #expect(count == 5)
        rig.channel.isWritable = true
        rig.channel.pipeline.fireChannelWritabilityChanged()
        rig.runLoops()
        #expect(rig.bridge.isWritable && rig.receiver.writableEvents == 1)
        #expect(try rig.sent().count == 5)
    }

    @Test("If the session's loop is late, the carrier stops reading at 1 MiB, and resumes later")
    func lateSessionLoop() throws {
        let rig = try BridgeRig()
        let carrier = try rig.channel.pipeline.syncOperations.handler(type: Carrier.self)
        for _ in 0..<16 { try rig.receive(Self.data(MuxLimits.maximumData)) }
        #expect(carrier.isRead)
        try rig.receive(Self.data(MuxLimits.maximumData))
        #expect(!carrier.isRead && rig.receiver.frames.isEmpty)
        rig.runLoops()
        #expect(carrier.isRead && rig.receiver.frames.count == 17)
    }

    @Test("The end of the carrier is reported once, after its last frame, and both objects are freed")
    func end() throws {
        weak var bridge: CarrierBridge?
        weak var carrier: Carrier?
        do {
            let rig = try BridgeRig()
            bridge = rig.bridge
            carrier = try rig.channel.pipeline.syncOperations.handler(type: Carrier.self)
            try rig.receive(Self.data(1))
            rig.channel.close(promise: nil)
            rig.runLoops()
            #expect(rig.receiver.frames == [.data] && rig.receiver.losses == 1)
            #expect(!rig.bridge.isWritable)
            // Calls after the end have no effect.
            rig.bridge.send(Self.data(1))
            rig.bridge.flush()
            rig.bridge.close(.goingAway, reason: "late")
            rig.runLoops()
        }
        #expect(bridge == nil && carrier == nil)
    }

    @Test("After another carrier has taken over, the old one's frames and end are ignored, and it closes")
    func disowned() throws {
        weak var bridge: CarrierBridge?
        do {
            let rig = try BridgeRig()
            bridge = rig.bridge
            try rig.receive(Self.data(1))
            rig.bridge.disown()
            rig.bridge.close(.goingAway, reason: "another carrier has taken over")
            rig.runLoops()
            #expect(rig.receiver.frames.isEmpty)
            // The peer does not answer the Close.
            rig.channel.embeddedEventLoop.advanceTime(by: .seconds(5))
            rig.runLoops()
            #expect(!rig.channel.isActive && rig.receiver.losses == 0)
        }
        #expect(bridge == nil)
    }

    @Test("What comes before the answer is not believed, and costs the carrier alone")
    func beforeAnswer() throws {
        let plain: [[UInt8]] = [[0x22, 0, 0, 0, 0, 0, 0, 2, 7], [0xEE], []]
        let frames = plain.map { RawFrame(payload: $0) } + [RawFrame(head: 0x83, payload: [1])]
        for frame in frames {
            let rig = try BridgeRig(isOpen: false)
            _ = try? rig.channel.writeInbound(ByteBuffer(bytes: frame.wire(mask: [1, 2, 3, 4])))
            rig.bridge.open(CarrierOpening(frame: OutboundFrame(.resumed), seal: nil))
            rig.runLoops()
            #expect(rig.receiver.frames.isEmpty && rig.receiver.violations == 0)
            #expect(rig.receiver.losses == 1 && !rig.receiver.isBreach && !rig.channel.isActive)
        }
    }

    @Test("The answer and the seal take effect together: what comes next is opened")
    func sealed() throws {
        let rig = try BridgeRig(isOpen: false)
        let seals = try SealPair.make()
        guard let own = seals.client.take() else { return #expect(Bool(false), "the seal was taken before") }
        let client = SealedMessages(own)
        rig.bridge.open(CarrierOpening(frame: OutboundFrame(.resumed), seal: seals.server))
        // The carrier's loop runs one task, which is the answer; the client's message comes before any other.
        rig.channel.embeddedEventLoop.run()
        #expect(try rig.sent() == [.resumed])
        let message = Array(try client.seal([0x21, 0, 0, 0, 0, 0, 0, 2]).readableBytesView)
        try rig.channel.writeInbound(ByteBuffer(bytes: RawFrame(payload: message).wire(mask: [1, 2, 3, 4])))
        rig.runLoops()
        #expect(rig.receiver.frames == [.accept] && rig.receiver.losses == 0)
        rig.bridge.send(OutboundFrame(.accept, StreamID(1)))
        rig.bridge.flush()
        rig.runLoops()
        let bytes = try #require(try rig.channel.readOutbound(as: ByteBuffer.self))
        #expect(try client.open(ByteBuffer(bytes: bytes.readableBytesView.dropFirst(2))).first == 0x21)
    }

    @Test("A protocol violation is reported before the loss")
    func violation() throws {
        let rig = try BridgeRig()
        var connection = Connection(role: .client)
        var out = ByteBuffer()
        try connection.encodeMessage(.binary, prefix: ByteBuffer(), payload: ByteBuffer(bytes: [0xEE]), into: &out)
        _ = try? rig.channel.writeInbound(out)
        rig.runLoops()
        #expect(rig.receiver.violations == 1 && rig.receiver.losses == 1)
    }
}

/// Records the calls of a bridge.
private final class BridgeReceiver: CarrierReceiver {
    var frames: [FrameType] = []
    var writableEvents = 0
    var violations = 0
    var losses = 0
    /// Whether a loss was reported as a breach of the peer.
    var isBreach = false

    func carrier(received frame: InboundFrame) { frames.append(frame.header.type) }
    func carrierReadCompleted() {}
    func carrierBecameWritable() { writableEvents += 1 }
    func carrier(violatedBy error: MuxError) { violations += 1 }
    func carrierLost(_ loss: CarrierLoss) {
        losses += 1
        isBreach = isBreach || loss.isProtocolViolation
    }
}
