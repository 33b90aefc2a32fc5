import NIOCore

/// The rules of fragmentation (RFC 6455 section 5.4), the limits of a message, and the check of text.
///
/// Despite its name it keeps no payload: pieces go through.
struct MessageRules: Sendable {
    /// A message of which the first byte of the first header has come.
    private struct Message {
        let kind: MessageKind
        let isCompressed: Bool
        /// What the headers so far declared.
        var bytes = 0
        /// What inflating has made of it.
        var inflatedBytes = 0
        var frames = 1
        /// True once a piece has been handed on.
        var isAnnounced = false
        var validator = UTF8Validator()
    }

    private let limits: WebSocketLimits
    private let acceptsText: Bool
    private var message: Message?

    /// An assembler between messages.
    init(limits: WebSocketLimits, acceptsText: Bool) {
        self.limits = limits
        self.acceptsText = acceptsText
    }

    /// Whether the message that is being received is compressed.
    var isCompressed: Bool { message?.isCompressed ?? false }

    /// Bytes that inflating may still add to the message.
    var inflatedRoom: Int { max(0, limits.maximumMessageBytes - (message?.inflatedBytes ?? 0)) }

    /// Counts what inflating has made, which is not more than there is room for.
    mutating func inflated(_ count: Int) {
        message?.inflatedBytes += count
    }

    /// The first byte of a data frame's header has come.
    mutating func beginFrame(_ opcode: Opcode, isCompressed: Bool) throws(WebSocketError) {
        if opcode == .continuation {
            guard message != nil else { throw .unexpectedContinuation }
            message?.frames += 1
        } else {
            guard message == nil else { throw .interleavedMessage }
            guard opcode == .binary || acceptsText else { throw .unexpectedText }
            message = Message(kind: opcode == .text ? .text : .binary, isCompressed: isCompressed)
        }
        guard let message, message.frames <= limits.maximumFragments else { throw .tooManyFragments }
    }

    /// The length of that frame has come. The limit holds before anything of the payload is there.
    mutating func admitPayload(_ length: Int) throws(WebSocketError) {
        guard length <= Self.onTheWire(limits.maximumFrameBytes, isCompressed) else { throw .frameTooLarge }
        let (total, overflow) = (message?.bytes ?? 0).addingReportingOverflow(length)
        guard !overflow, total <= Self.onTheWire(limits.maximumMessageBytes, isCompressed) else {
            throw .messageTooLarge
        }
        message?.bytes = total
    }

    /// What may come for so many bytes: deflate makes what does not compress a little longer, by five bytes in 16 KiB
    /// and some.
    private static func onTheWire(_ limit: Int, _ isCompressed: Bool) -> Int {
        guard isCompressed else { return limit }
        let (sum, overflow) = limit.addingReportingOverflow(limit / 1_024 + 64)
        return overflow ? limit : sum
    }

    /// What comes of a piece of payload: an event, an error, or first the one and then the other.
    ///
    /// Text before the byte that is wrong is still delivered, so that what is delivered does not depend on where the
    /// network cut the bytes.
    mutating func receive(_ piece: ByteBuffer, endsMessage: Bool) -> (event: WebSocketEvent?, error: WebSocketError?) {
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
        var event: WebSocketEvent?
        if isLast || bytes.readableBytes > 0 {
            event = .message(current.kind, bytes, isFirst: !current.isAnnounced, isLast: isLast)
            current.isAnnounced = true
        }
        message = isLast ? nil : current
        return (event, isValid ? nil : .invalidText)
    }
}
