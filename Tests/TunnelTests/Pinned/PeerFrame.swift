import Mux
import NIOCore

/// A manually encoded frame of the peer.
struct PeerFrame {
    private let type: UInt8
    private let stream: UInt32
    private let payload: ByteBuffer

    init(_ type: UInt8, _ stream: UInt32, _ payload: ByteBuffer = ByteBuffer()) {
        (self.type, self.stream, self.payload) = (type, stream, payload)
    }

    /// A visitor's stream of tunnel 0.
    static func open(_ stream: UInt32) -> PeerFrame {
        var fields = ByteBuffer(bytes: [1, 0, 1, 1, 2, 0, 2, 0, 0])
        let visitor = "192.0.2.1:40001"
        fields.writeBytes([4, 0, UInt8(visitor.utf8.count)])
        fields.writeString(visitor)
        return PeerFrame(0x20, stream, fields)
    }

    static func accept(_ stream: UInt32) -> PeerFrame { PeerFrame(0x21, stream) }

    static func data(_ stream: UInt32, _ text: String) -> PeerFrame {
        PeerFrame(0x22, stream, ByteBuffer(string: text))
    }

    static func data(_ stream: UInt32, count: Int) -> PeerFrame {
        PeerFrame(0x22, stream, ByteBuffer(repeating: 0x61, count: count))
    }

    static func end(_ stream: UInt32) -> PeerFrame { PeerFrame(0x23, stream) }

    static func reset(_ stream: UInt32) -> PeerFrame { PeerFrame(0x24, stream, code(1)) }

    static func credit(_ stream: UInt32, to offset: UInt64) -> PeerFrame {
        PeerFrame(0x25, stream, ByteBuffer(integer: offset))
    }

    /// Code 6 is going away.
    static func goAway(code number: UInt32 = 6) -> PeerFrame { PeerFrame(0x33, 0, code(number)) }

    static func renew(within seconds: UInt32) -> PeerFrame { PeerFrame(0x34, 0, code(seconds)) }

    private static func code(_ number: UInt32) -> ByteBuffer {
        var fields = ByteBuffer(bytes: [1, 0, 4])
        fields.writeInteger(number)
        return fields
    }

    /// The frame in the form that a carrier passes on.
    ///
    /// - Parameter offsets: bytes of DATA that the peer has sent on each stream. END and RESET carry them.
    func arrived(after offsets: inout [UInt32: UInt64]) throws -> InboundFrame? {
        var wire = ByteBuffer(integer: UInt64(type) << 56 | UInt64(stream))
        wire.writeImmutableBuffer(payload)
        switch type {
        case 0x22:
            offsets[stream, default: 0] += UInt64(payload.readableBytes)
        case 0x23:
            wire.writeInteger(offsets[stream, default: 0])
        case 0x24:
            wire.writeBytes([2, 0, 8])
            wire.writeInteger(offsets[stream, default: 0])
        default:
            break
        }
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        return try assembler.receive(wire, isLast: true)
    }
}

/// The frames of one peer, with the bytes that it has sent on each stream.
final class PeerFrames {
    private var offsets: [UInt32: UInt64] = [:]

    func arrived(_ frame: PeerFrame) throws -> InboundFrame? { try frame.arrived(after: &offsets) }
}
