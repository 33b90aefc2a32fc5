import NIOCore
import NIOEmbedded
import Seal
import TestSupport
import WebSocket

@testable import Mux
@testable import TunnelCore

/// A sealed carrier on a channel without a socket, and what its peer has.
final class SealedRig {
    let channel = EmbeddedChannel()
    let carrier: Carrier
    let receiver = RecordingReceiver()
    /// The peer's end of the seal.
    let peer: SealedMessages
    private let role: WebSocketRole
    private var reader = RawFrameReader()

    /// - Parameters:
    ///   - isSealed: false for a carrier that is not sealed, whose peer seals nothing.
    ///   - sealsFirst: whether the seal comes before the admission, as at a client.
    init(_ role: WebSocketRole, isSealed: Bool = true, deflate: DeflateAgreement? = nil, sealsFirst: Bool = true) throws
    {
        self.role = role
        carrier = Carrier(role: role, deflate: deflate, receiver: receiver)
        try channel.pipeline.syncOperations.addHandler(carrier)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let seals = try SealPair.make()
        let (own, theirs) = role == .client ? (seals.client, seals.server) : (seals.server, seals.client)
        guard let theirs = theirs.take() else { throw ScenarioFailure(description: "a seal was taken before") }
        peer = SealedMessages(theirs)
        if isSealed, sealsFirst { carrier.seal(own) }
        carrier.admit(receiver)
        if isSealed, !sealsFirst { carrier.seal(own) }
    }

    /// The mask of what this end receives.
    private var mask: [UInt8]? { role == .server ? [1, 2, 3, 4] : nil }

    /// Lets bytes arrive.
    func receive(_ bytes: [UInt8]) {
        // The channel may be closed by what came before.
        _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
    }

    /// Lets frames of the WebSocket arrive, in one read.
    func receive(_ frames: RawFrame...) { receive(frames.flatMap { wire($0) }) }

    /// The bytes of a frame that arrives.
    func wire(_ frame: RawFrame) -> [UInt8] { frame.wire(mask: mask) }

    /// The sealed message of a frame of the peer.
    func sealed(_ frame: OutboundFrame) throws -> [UInt8] {
        var head = ByteBuffer()
        frame.writeHead(into: &head)
        return Array(try peer.seal(head, frame.payload).readableBytesView)
    }

    /// The frames of the WebSocket that the carrier has written since the last call, unmasked.
    func written() throws -> [RawFrame] {
        while let next = try channel.readOutbound(as: ByteBuffer.self) { reader.append(Array(next.readableBytesView)) }
        var frames: [RawFrame] = []
        while let frame = reader.next() { frames.append(frame) }
        return frames
    }

    /// The bytes that the carrier has written since the last call.
    func writtenBytes() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let next = try channel.readOutbound(as: ByteBuffer.self) { bytes += next.readableBytesView }
        return bytes
    }

    static func data(_ payload: [UInt8]) -> OutboundFrame {
        OutboundFrame(.data, StreamID(2), ByteBuffer(bytes: payload))
    }
}

/// Records what a carrier reports.
final class RecordingReceiver: CarrierReceiver {
    private(set) var frames: [InboundFrame] = []
    private(set) var violations: [MuxError] = []
    private(set) var losses: [CarrierLoss] = []

    /// The payloads of the frames.
    var payloads: [[UInt8]] { frames.map { Array($0.payload.readableBytesView) } }
    /// Whether the only report is that the carrier was altered.
    var isAltered: Bool {
        violations.isEmpty && losses.count == 1 && losses[0].isAltered && !losses[0].isProtocolViolation
    }
    /// Whether the only report is that the peer broke the rules.
    var isViolation: Bool { losses.count == 1 && losses[0].isProtocolViolation && !losses[0].isAltered }

    func carrier(received frame: InboundFrame) { frames.append(frame) }
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrier(violatedBy error: MuxError) { violations.append(error) }
    func carrierLost(_ loss: CarrierLoss) { losses.append(loss) }
}
