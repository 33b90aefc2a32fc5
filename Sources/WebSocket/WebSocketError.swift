/// A breach of the protocol by the peer, or a request by the caller that cannot be met.
///
/// The last five cases are the caller's or zlib's; all others are the peer's. Each breach stands for one rule and has
/// one close code.
public enum WebSocketError: Error, Equatable, Sendable {
    /// A reserved bit that no negotiated extension defines (RFC 6455, section 5.2).
    case reservedBits
    /// An unassigned opcode (section 5.2).
    case unknownOpcode(Opcode)
    /// A client's frame without a mask (section 5.1).
    case unmaskedFrame(Opcode)
    /// A server's frame with a mask (section 5.1).
    case maskedFrame
    /// A length that is not in its shortest form (section 5.2).
    case lengthNotMinimal
    /// A length of 2^63 or more (section 5.2).
    case lengthOverflow
    /// A control frame without FIN (section 5.5).
    case fragmentedControlFrame
    /// A control frame of more than 125 bytes (section 5.5).
    case oversizedControlFrame
    /// A continuation frame outside a message (section 5.4).
    case unexpectedContinuation
    /// A new message inside an unfinished one (section 5.4).
    case interleavedMessage
    /// A text message on a connection that accepts only binary messages.
    case unexpectedText
    /// A frame header that declares more than the limit.
    case frameTooLarge
    /// A message longer than the limit.
    case messageTooLarge
    /// A message in more frames than the limit.
    case tooManyFragments
    /// Too many unsent control frames: the peer does not read its pongs, or the caller did not take the output.
    case controlQueueFull
    /// A text message that is not UTF-8 (section 8.1).
    case invalidText
    /// A compressed message that is not a deflate stream, is cut short, or refers to bytes before the window (RFC 7692,
    /// section 7.2.2).
    case invalidDeflate
    /// A Close frame with a payload of one byte (section 5.5.1).
    case truncatedCloseCode
    /// A Close frame with a code that may not be sent (section 7.4).
    case invalidCloseCode(CloseCode)
    /// A Close frame whose reason is not UTF-8 (section 5.5.1).
    case invalidCloseReason

    /// A send after the Close frame, or on a connection that has ended.
    case notOpen
    /// A control payload of more than 125 bytes to send.
    case controlPayloadTooLong
    /// A payload to send by reference from a client, whose payloads must be masked.
    case payloadNeedsMask
    /// A payload length that is negative or too large for the length field.
    case impossibleLength
    /// A failure of zlib, for want of memory. The compressed stream cannot continue.
    case compressorFailed

    /// The code of the Close frame for this error. A caller's errors send no frame; their code is 1011.
    public var closeCode: CloseCode {
        switch self {
        case .reservedBits, .unknownOpcode, .unmaskedFrame, .maskedFrame, .lengthNotMinimal, .lengthOverflow,
            .fragmentedControlFrame, .oversizedControlFrame, .unexpectedContinuation, .interleavedMessage,
            .truncatedCloseCode, .invalidCloseCode:
            .protocolError
        case .unexpectedText:
            .unsupportedData
        case .invalidText, .invalidCloseReason, .invalidDeflate:
            .invalidPayload
        case .tooManyFragments, .controlQueueFull:
            .policyViolation
        case .frameTooLarge, .messageTooLarge:
            .messageTooBig
        case .notOpen, .controlPayloadTooLong, .payloadNeedsMask, .impossibleLength, .compressorFailed:
            .internalError
        }
    }
}

extension WebSocketError: CustomStringConvertible {
    /// One line for a log. Contains only numbers from the peer.
    public var description: String {
        switch self {
        case .reservedBits: "reserved bits set in a frame header"
        case .unknownOpcode(let opcode): "unassigned opcode \(opcode.rawValue)"
        case .unmaskedFrame(let opcode): "frame of opcode \(opcode.rawValue) from the client without a mask"
        case .maskedFrame: "frame from the server with a mask"
        case .lengthNotMinimal: "frame length not in its shortest form"
        case .lengthOverflow: "frame length beyond 63 bits"
        case .fragmentedControlFrame: "fragmented control frame"
        case .oversizedControlFrame: "control frame of more than 125 bytes"
        case .unexpectedContinuation: "continuation frame outside a message"
        case .interleavedMessage: "new message within an unfinished one"
        case .unexpectedText: "text message on a binary-only connection"
        case .frameTooLarge: "frame larger than the limit"
        case .messageTooLarge: "message larger than the limit"
        case .tooManyFragments: "message in too many fragments"
        case .controlQueueFull: "too many control frames waiting to be sent"
        case .invalidText: "text message is not UTF-8"
        case .invalidDeflate: "compressed message cannot be inflated"
        case .compressorFailed: "the compressor has failed"
        case .truncatedCloseCode: "close frame with a truncated code"
        case .invalidCloseCode(let code): "close code \(code) may not be sent"
        case .invalidCloseReason: "close reason is not UTF-8"
        case .notOpen: "the connection is closing or closed"
        case .controlPayloadTooLong: "control payload of more than 125 bytes"
        case .payloadNeedsMask: "a client's payload must be masked"
        case .impossibleLength: "impossible payload length"
        }
    }
}
