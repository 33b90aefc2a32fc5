import NIOCore

/// What a client wants of the visitors to one of its tunnels, a part of BIND. The server keeps the stricter of this and
/// its operator's own.
public struct RequestedVisitorLimits: Sendable, Hashable {
    /// Visitors at a time.
    public var connections: UInt32?
    /// New visitors a second from one address.
    public var connectionsPerSecond: UInt32?
    /// Blocks of addresses, `10.0.0.0/8,2001:db8::/32`, from which alone visitors may come; empty for all.
    public var allow = ""
    /// Blocks from which they may not come, whatever `allow` says.
    public var deny = ""
    /// Seconds without a byte in either direction after which a visitor is reset.
    public var idleSeconds: UInt32?
    /// Bytes a second in each direction, over all visitors of the tunnel.
    public var bandwidth: UInt64?
    /// Whether OPEN is to say at which public address the visitor came, as PROXY protocol headers have it.
    public var wantsPublicAddress = false

    /// The longest list of blocks on the wire, bytes.
    public static let maximumList = 1_024

    /// No wishes.
    public init() {}

    func write(to fields: inout FieldWriter) {
        if let connections { fields.append(4, number: connections) }
        if let connectionsPerSecond { fields.append(5, number: connectionsPerSecond) }
        if !allow.isEmpty { fields.append(6, allow, atMost: Self.maximumList) }
        if !deny.isEmpty { fields.append(7, deny, atMost: Self.maximumList) }
        if let idleSeconds { fields.append(8, number: idleSeconds) }
        if let bandwidth { fields.append(9, number: bandwidth) }
        if wantsPublicAddress { fields.append(10, number: UInt8(1)) }
    }

    init(_ fields: FieldReader) throws(MuxError) {
        connections = try fields.optionalNumber(4)
        connectionsPerSecond = try fields.optionalNumber(5)
        allow = try fields.text(6, atMost: Self.maximumList)
        deny = try fields.text(7, atMost: Self.maximumList)
        idleSeconds = try fields.optionalNumber(8)
        bandwidth = try fields.optionalNumber(9)
        wantsPublicAddress = try fields.optionalNumber(10, as: UInt8.self) == 1
    }
}
