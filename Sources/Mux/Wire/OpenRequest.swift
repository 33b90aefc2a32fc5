import NIOCore

/// The payload of OPEN: the tunnel and the address of a visitor.
public struct OpenRequest: Sendable, Hashable {
    /// Largest usual OPEN, with only a visitor's address, bytes. Each visitor costs one.
    private static let usualLength = 32

    /// The client's tunnel whose port the visitor connected to. The wire cannot name a host.
    public var tunnel: UInt16
    /// The visitor's address for the log, such as `203.0.113.9:40001`.
    public var visitor: String
    /// The public address that the visitor connected to, such as `203.0.113.9:8022`; empty unless the client asked for
    /// it.
    public var publicAddress: String

    /// Creates a request.
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
