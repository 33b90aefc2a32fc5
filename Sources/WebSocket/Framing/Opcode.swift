/// The opcode of a frame (RFC 6455, section 5.2): four bits, with six assigned values.
///
/// Unassigned values can be represented, so that errors can name them; frames with one are never accepted.
public struct Opcode: RawRepresentable, Hashable, Sendable {
    /// The four bits, 0 to 15.
    public let rawValue: UInt8

    /// Creates an opcode; nil if the number does not fit into four bits.
    public init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    /// Creates an opcode from the low half of a frame's first byte.
    init(firstByte: UInt8) {
        rawValue = firstByte & 0x0F
    }

    /// A further fragment of the current message.
    public static let continuation = Opcode(firstByte: 0x0)
    /// The first or only fragment of a text message.
    public static let text = Opcode(firstByte: 0x1)
    /// The first or only fragment of a binary message.
    public static let binary = Opcode(firstByte: 0x2)
    /// The end of the connection (section 5.5.1).
    public static let close = Opcode(firstByte: 0x8)
    /// A request to which the peer answers with a pong (section 5.5.2).
    public static let ping = Opcode(firstByte: 0x9)
    /// The answer to a ping (section 5.5.3).
    public static let pong = Opcode(firstByte: 0xA)

    /// Whether the opcode is Close, Ping, Pong or an unassigned value from 11 to 15.
    public var isControl: Bool { rawValue & 0x8 != 0 }

    /// Whether RFC 6455 assigns the value.
    public var isAssigned: Bool { rawValue <= 0x2 || (0x8...0xA).contains(rawValue) }
}
