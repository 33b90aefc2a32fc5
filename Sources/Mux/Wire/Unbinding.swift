import NIOCore

/// The payload of UNBIND: a client gives the port of a tunnel back.
struct Unbinding: Sendable, Hashable {
    /// The client's tunnel.
    var tunnel: UInt16

    init(tunnel: UInt16) {
        self.tunnel = tunnel
    }

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        return OutboundFrame(.unbind, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        self.init(tunnel: try FieldReader(payload, of: .unbind).number(1))
    }
}
