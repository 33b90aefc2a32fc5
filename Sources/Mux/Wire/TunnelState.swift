import NIOCore

/// The payload of STATE: a client says whether the service of a tunnel answers.
public struct TunnelState: Sendable, Hashable {
    /// The longest reason, bytes.
    static let longestReason = 256

    /// The client's tunnel.
    public var tunnel: UInt16
    /// Whether the service answers.
    public var isUp: Bool
    /// Why it does not, in one line for people; empty if it does.
    public var reason: String

    /// Creates a report.
    public init(tunnel: UInt16, isUp: Bool, reason: String = "") {
        (self.tunnel, self.isUp, self.reason) = (tunnel, isUp, reason)
    }

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: tunnel)
        fields.append(2, number: UInt8(isUp ? 1 : 2))
        if !reason.isEmpty { fields.append(3, reason, atMost: Self.longestReason) }
        return OutboundFrame(.state, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .state)
        let state = try fields.number(2, as: UInt8.self)
        guard state == 1 || state == 2 else { throw MuxError(.malformedPayload, "state: \(state) is not a state") }
        self.init(
            tunnel: try fields.number(1),
            isUp: state == 1,
            reason: try fields.text(3, atMost: Self.longestReason)
        )
    }
}
