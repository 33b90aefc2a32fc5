/// What ends a WebSocket connection, or what a caller asked that cannot be done.
///
/// All but the last five cases are the peer's doing; each stands for one rule, and for one close code.
public enum WebSocketError: Error, Equatable, Sendable {
    /// A reserved bit is set that no agreed extension has given a meaning (RFC 6455 section 5.2).
    case reservedBits
    /// An opcode that is not assigned (section 5.2).
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
    /// A continuation where no message has begun (section 5.4).
    case unexpectedContinuation
    /// A new message within an unfinished one (section 5.4).
    case interleavedMessage
    /// A text message where only binary ones are taken.
    case unexpectedText
    /// A frame that declares more than the limit.
    case frameTooLarge
    /// A message that comes to more than the limit.
    case messageTooLarge
    /// A message in more frames than the limit.
    case tooManyFragments
    /// Pings whose answers the peer does not read, or control frames of our own that nobody took.
    case controlQueueFull
    /// A text message that is not UTF-8 (section 8.1).
    case invalidText
    /// A compressed message that is no deflate stream, is cut short, or reaches back before the window's beginning
    /// (RFC 7692 section 7.2.2).
    case invalidDeflate
    /// A Close frame with a payload of one byte (section 5.5.1).
    case truncatedCloseCode
    /// A Close frame with a code that may not be sent (section 7.4).
    case invalidCloseCode(CloseCode)
    /// A Close frame whose reason is not UTF-8 (section 5.5.1).
    case invalidCloseReason

    /// Asked to send after the Close frame, or on a connection that has ended.
    case notOpen
    /// Asked to send a control payload of more than 125 bytes.
    case controlPayloadTooLong
    /// Asked to send a payload by reference as a client, whose payloads must be masked.
    case payloadNeedsMask
    /// Asked to send a payload of a negative length, or one that no length field can hold.
    case impossibleLength
    /// zlib has failed, for want of memory: what was compressed before cannot be continued.
    case compressorFailed

    /// The code that the Close frame carries. For the errors of a caller nothing is sent; 1011 is what would fit.
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
    /// One line for a log. It holds nothing of the peer's but numbers.
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
        case .unexpectedText: "text message where only binary is spoken"
        case .frameTooLarge: "frame larger than the limit"
        case .messageTooLarge: "message larger than the limit"
        case .tooManyFragments: "message in too many fragments"
        case .controlQueueFull: "too many control frames waiting to be sent"
        case .invalidText: "text message is not UTF-8"
        case .invalidDeflate: "compressed message cannot be inflated"
        case .compressorFailed: "the compressor has failed"
        case .truncatedCloseCode: "close frame with half a code"
        case .invalidCloseCode(let code): "close code \(code) may not be sent"
        case .invalidCloseReason: "close reason is not UTF-8"
        case .notOpen: "the connection is closing or closed"
        case .controlPayloadTooLong: "control payload of more than 125 bytes"
        case .payloadNeedsMask: "a client's payload must be masked"
        case .impossibleLength: "impossible payload length"
        }
    }
}
