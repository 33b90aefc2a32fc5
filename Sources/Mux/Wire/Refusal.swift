import NIOCore

/// The payload of REFUSED, UNBOUND and GOAWAY: the reason why a request was refused or a session ends.
public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// The code for programs.
    public var code: RefusalCode
    /// One line for people: printable, at most 512 bytes on the wire.
    public var text: String
    /// Seconds after which a retry makes sense; nil if the sender does not know.
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

    /// Reads the tunnel that an UNBOUND names.
    static func tunnel(_ payload: ByteBuffer) throws(MuxError) -> UInt16 {
        try FieldReader(payload, of: .unbound).number(4)
    }
}
