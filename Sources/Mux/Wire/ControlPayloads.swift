import NIOCore

/// What a client asks for with BIND: one public port for one of its tunnels.
public struct BindRequest: Sendable, Hashable {
    /// The entry in the client's own list that this port leads to.
    public var tunnel: UInt16
    /// The address to which the client narrows the port, empty for the server's own choice.
    public var address: String
    /// The port; 0 for one that the server chooses.
    public var port: UInt16
    /// What the client wants of its visitors.
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

    /// The frame on the wire.
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

/// What a server answers with BOUND.
public struct Binding: Sendable, Hashable {
    /// The client's tunnel.
    public var tunnel: UInt16
    /// The addresses that are bound, separated by spaces: `0.0.0.0` for all of IPv4, `::` for all of IPv6.
    public var address: String
    /// The port that is bound.
    public var port: UInt16

    /// Creates an answer.
    public init(tunnel: UInt16, address: String, port: UInt16) {
        self.tunnel = tunnel
        self.address = address
        self.port = port
    }

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        fields.append(2, address, atMost: 64)
        fields.append(3, number: port)
        return OutboundFrame(.bound, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .bound)
        self.init(tunnel: try fields.number(1), address: try fields.text(2, atMost: 64), port: try fields.number(3))
    }
}

/// Why something was refused or ends: the body of REFUSED, UNBOUND and GOAWAY.
public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// The stable code.
    public var code: RefusalCode
    /// One line for a person; printable and at most 512 bytes on the wire.
    public var text: String
    /// Seconds after which another try makes sense, where the sender knows.
    public var retryAfter: UInt32?

    /// Creates a refusal.
    public init(_ code: RefusalCode, _ text: String, retryAfter: UInt32? = nil) {
        self.code = code
        self.text = text
        self.retryAfter = retryAfter
    }

    /// Code and text in one line.
    public var description: String { text.isEmpty ? code.description : "\(code): \(text)" }

    func frame(_ type: FrameType, tunnel: UInt16? = nil) -> OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: code.rawValue)
        fields.append(2, text, atMost: 512)
        if let retryAfter { fields.append(3, number: retryAfter) }
        if let tunnel { fields.append(4, number: tunnel) }
        return OutboundFrame(type, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer, of type: FrameType) throws(MuxError) {
        let fields = try FieldReader(payload, of: type)
        self.init(
            RefusalCode(rawValue: try fields.number(1)),
            try fields.text(2, atMost: 512),
            retryAfter: try fields.optionalNumber(3)
        )
    }

    /// The tunnel that an UNBOUND names.
    static func tunnel(_ payload: ByteBuffer) throws(MuxError) -> UInt16 {
        try FieldReader(payload, of: .unbound).number(4)
    }
}

/// What OPEN tells the client about a visitor.
public struct OpenRequest: Sendable, Hashable {
    /// Bytes of an OPEN that tells a visitor's address alone, at most. One goes with each visitor.
    private static let usualLength = 32

    /// The client's tunnel at whose port the visitor came. The wire cannot name a host.
    public var tunnel: UInt16
    /// The visitor's address for the log, `203.0.113.9:40001`.
    public var visitor: String
    /// The public address at which it came, `203.0.113.9:8022`, where the client asked to be told; else empty.
    public var publicAddress: String

    /// Creates a visit.
    public init(tunnel: UInt16, visitor: String, publicAddress: String = "") {
        self.tunnel = tunnel
        self.visitor = visitor
        self.publicAddress = publicAddress
    }

    func frame(_ stream: StreamID) -> OutboundFrame {
        var fields = FieldWriter(expecting: Self.usualLength)
        fields.append(1, number: tunnel)
        fields.append(2, visitor, atMost: 64)
        if !publicAddress.isEmpty { fields.append(3, publicAddress, atMost: 64) }
        return OutboundFrame(.open, stream, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .open)
        self.init(
            tunnel: try fields.number(1),
            visitor: try fields.text(2, atMost: 64),
            publicAddress: try fields.text(3, atMost: 64)
        )
    }
}

/// RENEW: the server wants a new carrier.
struct Renewal {
    /// Over how many seconds the clients of one server should spread.
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

extension ResetCode {
    func frame(_ stream: StreamID) -> OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: rawValue)
        return OutboundFrame(.reset, stream, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        self.init(rawValue: try FieldReader(payload, of: .reset).number(1))
    }
}
