import NIOCore

/// The reason for a stream's reset (protocol page, section 8). Unknown numbers are kept and reset the stream as well.
public struct ResetCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates a code from the number on the wire.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The socket at the sender's end was reset.
    public static let connectionReset = ResetCode(rawValue: 1)
    /// The service refused the connection.
    public static let refused = ResetCode(rawValue: 2)
    /// The service's name or address cannot be reached.
    public static let unreachable = ResetCode(rawValue: 3)
    /// The service did not answer in time.
    public static let timeout = ResetCode(rawValue: 4)
    /// The sender has no room for the stream.
    public static let busy = ResetCode(rawValue: 5)
    /// The peer broke the rules of this stream.
    public static let protocolViolation = ResetCode(rawValue: 6)
    /// The sender is stopping.
    public static let goingAway = ResetCode(rawValue: 7)
    /// The receiver has no tunnel with the stream's tunnel number.
    public static let noSuchTunnel = ResetCode(rawValue: 8)

    /// The code's meaning, or its number if it is unknown.
    public var description: String {
        switch self {
        case .connectionReset: "connection reset"
        case .refused: "service refused the connection"
        case .unreachable: "service cannot be reached"
        case .timeout: "service did not answer in time"
        case .busy: "no room for the stream"
        case .protocolViolation: "protocol violation on the stream"
        case .goingAway: "going away"
        case .noSuchTunnel: "no such tunnel"
        default: "code \(rawValue)"
        }
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
