/// A breach of the session protocol by the peer. The session ends with a GOAWAY that carries ``code``.
///
/// A fault of one stream is never thrown: it resets that stream (protocol page, section 8).
public struct MuxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of breach, as a stable name for tables and logs.
    public enum Kind: String, Sendable, Hashable {
        /// A frame shorter than its header or fixed payload, or longer than its limit.
        case frameLength
        /// A frame type that this version does not define.
        case unknownType
        /// Flags or reserved bits that this version does not define.
        case reservedBits
        /// Stream 0 on a stream's frame, or another number on a session's frame.
        case streamNumber
        /// A frame that is not legal in this state or from this end.
        case unexpectedFrame
        /// A payload with a field that is truncated, missing, duplicated or out of range.
        case malformedPayload
        /// More bytes than the credit allows.
        case creditOverrun
        /// Credit that decreases or exceeds the largest window.
        case creditRange
        /// An acknowledgement of frames that were never sent.
        case acknowledgement
        /// Too many events of a kind that is legal in small numbers.
        case flood
        /// No protocol version in common.
        case version
        /// One end wants the session sealed, and the other does not.
        case encryption
        /// An answer that is not what the peer has sealed: the path may have altered it.
        case altered
        /// A proof that does not verify.
        case proof
        /// No answer from the peer before the deadline: the carrier is dead.
        case silence
        /// No new carrier before the deadline.
        case abandoned
    }

    /// The kind of breach.
    public let kind: Kind
    /// What happened, for the log. Contains only our own numbers and names, never the peer's bytes.
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
        case .encryption: .encryption
        case .altered: .goingAway
        case .proof: .credentials
        case .silence, .abandoned: .goingAway
        }
    }

    /// Kind and detail in one line.
    public var description: String { "\(kind.rawValue): \(detail)" }
}
