import NIOCore

/// The payload of BIND: a client's request for a public place for one of its tunnels: a port, a Unix socket, or a host name.
public struct BindRequest: Sendable, Hashable {
    /// The longest address: the path of a Unix socket.
    static let longestAddress = 107

    /// The entry in the client's own list that the port leads to.
    public var tunnel: UInt16
    /// The address to which the client narrows the port; empty to leave it to the server. Or the path of a Unix socket,
    /// which begins with a slash; the port is 0 then.
    public var address: String
    /// The port; 0 to let the server choose.
    public var port: UInt16
    /// UDP for flows of datagrams in place of connections.
    public var kind: StreamKind
    /// The limits that the client requests for visitors.
    public var visitors: RequestedVisitorLimits
    /// The host name that the client requests in place of a port; nil for a port or a Unix socket.
    public var name: RequestedName?
    /// The group with which the client shares the place; nil for none.
    public var group: RequestedGroup?
    /// Whether the client checks the service by itself, and sends STATE as soon as it knows the result.
    public var hasHealthCheck = false

    /// Creates a request.
    public init(
        tunnel: UInt16,
        address: String,
        port: UInt16,
        kind: StreamKind = .tcp,
        visitors: RequestedVisitorLimits = RequestedVisitorLimits()
    ) {
        self.tunnel = tunnel
        self.address = address
        self.port = port
        self.kind = kind
        self.visitors = visitors
    }

    /// Whether the request is for a Unix socket.
    public var isForPath: Bool { address.utf8.first == UInt8(ascii: "/") }

    /// The request as a frame.
    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        fields.append(2, address, atMost: Self.longestAddress)
        fields.append(3, number: port)
        visitors.write(to: &fields)
        if kind != .tcp { fields.append(11, number: kind.rawValue) }
        name?.write(to: &fields)
        group?.write(to: &fields)
        if hasHealthCheck { fields.append(21, number: UInt8(1)) }
        return OutboundFrame(.bind, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .bind)
        guard let kind = StreamKind(rawValue: try fields.optionalNumber(11) ?? StreamKind.tcp.rawValue), kind != .probe
        else {
            throw MuxError(.malformedPayload, "bind: a port of an unknown kind")
        }
        self.init(
            tunnel: try fields.number(1),
            address: try fields.text(2, atMost: Self.longestAddress),
            port: try fields.number(3),
            kind: kind,
            visitors: try RequestedVisitorLimits(fields)
        )
        name = try RequestedName(fields)
        group = try RequestedGroup(fields)
        hasHealthCheck = try fields.optionalNumber(21, as: UInt8.self) == 1
    }
}
