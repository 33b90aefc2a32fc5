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
    /// The client may not name this destination.
    public static let notAllowed = ResetCode(rawValue: 9)
    /// The stream's far side is at another server now.
    public static let moved = ResetCode(rawValue: 10)

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
        case .notAllowed: "destination not allowed"
        case .moved: "moved to another server"
        default: "code \(rawValue)"
        }
    }
}

extension ResetCode {
    /// - Parameter offset: bytes of DATA that the sender has sent on the stream.
    func frame(_ stream: StreamID, after offset: UInt64) -> OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: rawValue)
        fields.append(2, number: offset)
        return OutboundFrame(.reset, stream, fields.bytes)
    }

    /// Reads RESET: the code, and the bytes of DATA before it.
    static func read(_ payload: ByteBuffer) throws(MuxError) -> (code: ResetCode, offset: UInt64) {
        let fields = try FieldReader(payload, of: .reset)
        return (ResetCode(rawValue: try fields.number(1)), try fields.number(2))
    }
}
