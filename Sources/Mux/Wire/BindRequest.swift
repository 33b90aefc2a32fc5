import NIOCore

/// The payload of BIND: a client's request for a public port for one of its tunnels.
public struct BindRequest: Sendable, Hashable {
    /// The entry in the client's own list that the port leads to.
    public var tunnel: UInt16
    /// The address to which the client narrows the port; empty to leave it to the server.
    public var address: String
    /// The port; 0 to let the server choose.
    public var port: UInt16
    /// The limits that the client requests for visitors.
    public var visitors: RequestedVisitorLimits

    /// Creates a request.
    public init(
        tunnel: UInt16,
        address: String,
        port: UInt16,
        visitors: RequestedVisitorLimits = RequestedVisitorLimits()
    ) {
        self.tunnel = tunnel
        self.address = address
        self.port = port
        self.visitors = visitors
    }

    /// The request as a frame.
    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        fields.append(2, address, atMost: 64)
        fields.append(3, number: port)
        visitors.write(to: &fields)
        return OutboundFrame(.bind, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .bind)
        self.init(
            tunnel: try fields.number(1),
            address: try fields.text(2, atMost: 64),
            port: try fields.number(3),
            visitors: try RequestedVisitorLimits(fields)
        )
    }
}
