import NIOCore

/// The payload of RENEW: the server's request for a new carrier.
struct Renewal {
    /// Seconds over which the clients of one server should spread their dials.
    let within: UInt32

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: within)
        return OutboundFrame(.renew, .session, fields.bytes)
    }
}

extension Renewal {
    init(_ payload: ByteBuffer) throws(MuxError) {
        self.init(within: try FieldReader(payload, of: .renew).number(1))
    }
}
