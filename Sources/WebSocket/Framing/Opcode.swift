/// What a frame is (RFC 6455 section 5.2): four bits, of which six values have a meaning.
///
/// The set is open, so that a header with an unassigned value can be named in an error; such a frame is never accepted.
public struct Opcode: RawRepresentable, Hashable, Sendable {
    /// The four bits, 0 to 15.
    public let rawValue: UInt8

    /// The opcode with these four bits, or nil when the number does not fit in four bits.
    public init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    /// The opcode in the low half of a frame's first byte.
    init(firstByte: UInt8) {
        rawValue = firstByte & 0x0F
    }

    /// A further fragment of the message that is being sent.
    public static let continuation = Opcode(firstByte: 0x0)
    /// The first or only fragment of a text message.
    public static let text = Opcode(firstByte: 0x1)
    /// The first or only fragment of a binary message.
    public static let binary = Opcode(firstByte: 0x2)
    /// The end of the connection, section 5.5.1.
    public static let close = Opcode(firstByte: 0x8)
    /// A question whether the peer is there, section 5.5.2.
    public static let ping = Opcode(firstByte: 0x9)
    /// The answer to a ping, section 5.5.3.
    public static let pong = Opcode(firstByte: 0xA)

    /// True for Close, Ping, Pong and the unassigned values 11 to 15.
    public var isControl: Bool { rawValue & 0x8 != 0 }

    /// True for the six values that RFC 6455 assigns.
    public var isAssigned: Bool { rawValue <= 0x2 || (0x8...0xA).contains(rawValue) }
}
