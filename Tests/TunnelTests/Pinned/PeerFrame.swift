import Mux
import NIOCore

/// A manually encoded frame of the peer.
struct PeerFrame {
    private let wire: ByteBuffer

    init(_ type: UInt8, _ stream: UInt32, _ payload: ByteBuffer = ByteBuffer()) {
        var wire = ByteBuffer(integer: UInt64(type) << 56 | UInt64(stream))
        wire.writeImmutableBuffer(payload)
        self.wire = wire
    }

    static func open(_ stream: UInt32) -> PeerFrame {
        var fields = ByteBuffer(bytes: [1, 0, 2, 0, 0])
        let visitor = "192.0.2.1:40001"
        fields.writeBytes([2, 0, UInt8(visitor.utf8.count)])
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
    func arrived() throws -> InboundFrame? {
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        return try assembler.receive(wire, isLast: true)
    }
}
