import NIOCore

/// The payload of OPEN: what a stream is for, and who connected.
public struct OpenRequest: Sendable, Hashable {
    /// Largest usual OPEN, with only a visitor's address, bytes. Each visitor costs one.
    private static let usualLength = 40
    /// The longest destination, bytes. A name of 253, a colon and a port are 259; a server's request for the carrier of a
    /// sealed session has up to 500 (protocol page, section 11).
    public static let longestDestination = 512

    /// Where the stream leads.
    public enum Target: Sendable, Hashable {
        /// From the server: the client's tunnel whose port the visitor connected to. The server cannot name a host.
        case tunnel(UInt16)
        /// From the client: `host:port`, or the path of a Unix socket. The server decides whether the client may name it.
        /// For a probe, its request.
        case destination(String)
    }

    /// What the stream carries.
    public var kind: StreamKind
    /// Where the stream leads.
    public var target: Target
    /// The address of the visitor, or of the program at the client, for the log, such as `203.0.113.9:40001`.
    public var visitor: String
    /// The public address that the visitor connected to, such as `203.0.113.9:8022`; empty unless the client asked for
    /// it.
    public var publicAddress: String

    /// Creates a server's request, for a visitor of a tunnel.
    public init(tunnel: UInt16, kind: StreamKind = .tcp, visitor: String, publicAddress: String = "") {
        self.kind = kind
        self.target = .tunnel(tunnel)
        self.visitor = visitor
        self.publicAddress = publicAddress
    }

    /// Creates a client's request.
    ///
    /// - Parameter destination: at most ``longestDestination`` bytes; a longer one is cut, and thereby refused.
    public init(destination: String, kind: StreamKind = .tcp, visitor: String) {
        self.kind = kind
        self.target = .destination(destination)
        self.visitor = visitor
        self.publicAddress = ""
    }

    /// The tunnel; 0 for a client's request, whose places no tunnel shares.
    public var tunnel: UInt16 {
        if case .tunnel(let number) = target { number } else { 0 }
    }

    /// The role that may send the request.
    var sender: Role {
        switch target {
        case .tunnel: .server
        case .destination: .client
        }
    }

    func frame(_ stream: StreamID) -> OutboundFrame {
        var fields = FieldWriter(expecting: Self.usualLength)
        fields.append(1, number: kind.rawValue)
        switch target {
        case .tunnel(let number): fields.append(2, number: number)
        case .destination(let text): fields.append(3, text, atMost: Self.longestDestination)
        }
        fields.append(4, visitor, atMost: 64)
        if !publicAddress.isEmpty { fields.append(5, publicAddress, atMost: 64) }
        return OutboundFrame(.open, stream, fields.bytes)
    }

    /// - Throws: ``MuxError`` if the payload is malformed, or if it names what its sender cannot name.
    init(_ payload: ByteBuffer, from sender: Role) throws(MuxError) {
        let fields = try FieldReader(payload, of: .open)
        guard let kind = StreamKind(rawValue: try fields.number(1)) else {
            throw MuxError(.malformedPayload, "open: a stream of an unknown kind")
        }
        let destination = try fields.text(3, atMost: Self.longestDestination)
        switch sender {
        case .server:
            guard destination.isEmpty else {
                throw MuxError(.malformedPayload, "open: a server cannot name a destination")
            }
            guard kind != .probe else { throw MuxError(.malformedPayload, "open: a server cannot probe a client") }
            target = .tunnel(try fields.number(2))
        case .client:
            guard !destination.isEmpty, try fields.optionalNumber(2, as: UInt16.self) == nil else {
                throw MuxError(.malformedPayload, "open: a client names a destination and no tunnel")
            }
            target = .destination(destination)
        }
        self.kind = kind
        visitor = try fields.text(4, atMost: 64)
        publicAddress = try fields.text(5, atMost: 64)
    }
}
