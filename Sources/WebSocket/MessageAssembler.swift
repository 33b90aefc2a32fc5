import NIOCore

/// The rules of fragmentation (RFC 6455 section 5.4), the limits of a message, and the check of text.
///
/// Despite its name it keeps no payload: pieces go through.
struct MessageAssembler: Sendable {
    /// A message of which the first byte of the first header has come.
    private struct Message {
        let kind: MessageKind
        /// What the headers so far declared.
        var bytes = 0
        var frames = 1
        /// True once a piece has been handed on.
        var isAnnounced = false
        var validator = UTF8Validator()
    }

    private let limits: Limits
    private let acceptsText: Bool
    private var message: Message?

    /// An assembler between messages.
    init(limits: Limits, acceptsText: Bool) {
        self.limits = limits
        self.acceptsText = acceptsText
    }

    /// The first byte of a data frame's header has come.
    mutating func beginFrame(_ opcode: Opcode) throws(WebSocketError) {
        if opcode == .continuation {
            guard message != nil else { throw .unexpectedContinuation }
            message?.frames += 1
        } else {
            guard message == nil else { throw .interleavedMessage }
            guard opcode == .binary || acceptsText else { throw .unexpectedText }
            message = Message(kind: opcode == .text ? .text : .binary)
        }
        guard let message, message.frames <= limits.maximumFragments else { throw .tooManyFragments }
    }

    /// The length of that frame has come. The limit holds before anything of the payload is there.
    mutating func admitPayload(_ length: Int) throws(WebSocketError) {
        guard length <= limits.maximumFrameBytes else { throw .frameTooLarge }
        let (total, overflow) = (message?.bytes ?? 0).addingReportingOverflow(length)
        guard !overflow, total <= limits.maximumMessageBytes else { throw .messageTooLarge }
        message?.bytes = total
    }

    /// What comes of a piece of payload: an event, an error, or first the one and then the other.
    ///
    /// Text before the byte that is wrong is still delivered, so that what is delivered does not depend on where the
    /// network cut the bytes.
    mutating func receive(_ piece: ByteBuffer, endsMessage: Bool) -> (event: Event?, error: WebSocketError?) {
        guard var current = message else { return (nil, .unexpectedContinuation) }
        var bytes = piece
        var isValid = true
        if current.kind == .text {
            let invalid = piece.withUnsafeReadableBytes { current.validator.firstInvalidByte(in: $0) }
            if let invalid {
                bytes = piece.getSlice(at: piece.readerIndex, length: invalid) ?? ByteBuffer()
            }
            isValid = invalid == nil && (!endsMessage || current.validator.isComplete)
        }
        let isLast = endsMessage && isValid
        var event: Event?
        if isLast || bytes.readableBytes > 0 {
            event = .message(current.kind, bytes, isFirst: !current.isAnnounced, isLast: isLast)
            current.isAnnounced = true
        }
        message = isLast ? nil : current
        return (event, isValid ? nil : .invalidText)
    }
}
