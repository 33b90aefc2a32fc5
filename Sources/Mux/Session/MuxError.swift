/// A peer that broke the session protocol; the session ends with a GOAWAY that carries `code`.
///
/// What is wrong with one stream alone never throws: it resets that stream (protocol page, section 8).
public struct MuxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of breach it was, as a stable name for tables and logs.
    public enum Kind: String, Sendable, Hashable {
        /// A frame that is shorter than its header or than its fixed payload, or longer than it may be.
        case frameLength
        /// A type that this version does not know.
        case unknownType
        /// Flags or reserved bits that this version does not know.
        case reservedBits
        /// Stream 0 on a stream's frame, or another number on a session's.
        case streamNumber
        /// A frame that is not legal now or not from this end.
        case unexpectedFrame
        /// A payload whose fields are cut short, missing, doubled or out of range.
        case malformedPayload
        /// More bytes than the credit allowed.
        case creditOverrun
        /// Credit that runs backwards or further than any window goes.
        case creditRange
        /// An acknowledgement of what was never sent.
        case acknowledgement
        /// Too many of something that is legal in small numbers.
        case flood
        /// No version in common.
        case version
        /// A proof that does not verify.
        case proof
        /// The peer was silent past the deadline: its carrier is dead.
        case silence
        /// No new carrier came in time.
        case abandoned
    }

    /// The kind of breach.
    public let kind: Kind
    /// What happened, for the log. Holds numbers and names of ours, never bytes of the peer's.
    public let detail: String

    /// Creates an error.
    public init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    /// The code that the GOAWAY carries.
    public var code: RefusalCode {
        switch kind {
        case .frameLength, .unknownType, .reservedBits, .streamNumber, .unexpectedFrame, .malformedPayload,
            .creditOverrun, .creditRange, .acknowledgement:
            .protocolViolation
        case .flood: .limit
        case .version: .version
        case .proof: .credentials
        case .silence, .abandoned: .goingAway
        }
    }

    /// Kind and detail in one line.
    public var description: String { "\(kind.rawValue): \(detail)" }
}
