import NIOCore

/// Limits that a client requests for the visitors of one tunnel, as part of BIND. The server applies the stricter of
/// these and its operator's limits.
public struct RequestedVisitorLimits: Sendable, Hashable {
    /// Concurrent visitors.
    public var connections: UInt32?
    /// New visitors per second from one address.
    public var connectionsPerSecond: UInt32?
    /// Address blocks whose visitors are admitted, such as `10.0.0.0/8,2001:db8::/32`; empty for all.
    public var allow = ""
    /// Address blocks whose visitors are refused, even if `allow` contains them.
    public var deny = ""
    /// Seconds without a byte in either direction after which a visitor is reset.
    public var idleSeconds: UInt32?
    /// Bytes per second in each direction, for all visitors of the tunnel together.
    public var bandwidth: UInt64?
    /// Whether OPEN carries the public address that the visitor connected to, for PROXY protocol headers.
    public var wantsPublicAddress = false

    /// The longest list of blocks on the wire, bytes.
    public static let maximumList = 1_024

    /// Creates a request without limits.
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
