import NIOCore

/// Enforces the rules of fragmentation (RFC 6455, section 5.4), the limits of a message and the encoding of text.
///
/// Payload passes through; none is kept.
struct MessageRules: Sendable {
    /// A message of which at least the first byte has arrived.
    private struct Message {
        let kind: MessageKind
        let isCompressed: Bool
        /// Payload bytes that the headers so far have declared.
        var bytes = 0
        /// Inflated bytes so far.
        var inflatedBytes = 0
        var frames = 1
        /// Whether a chunk was delivered.
        var isAnnounced = false
        var validator = UTF8Validator()
    }

    private let limits: WebSocketLimits
    private let acceptsText: Bool
    private var message: Message?

    /// Creates the rules between messages.
    init(limits: WebSocketLimits, acceptsText: Bool) {
        self.limits = limits
        self.acceptsText = acceptsText
    }

    /// Whether the message in progress is compressed.
    var isCompressed: Bool { message?.isCompressed ?? false }

    /// Bytes that inflating may still add to the message.
    var inflatedRoom: Int { max(0, limits.maximumMessageBytes - (message?.inflatedBytes ?? 0)) }

    /// Counts inflated bytes, at most ``inflatedRoom``.
    mutating func inflated(_ count: Int) {
        message?.inflatedBytes += count
    }

    /// Begins a data frame at the first byte of its header.
    ///
    /// - Throws: ``WebSocketError`` if the frame is illegal here, is text although only binary is accepted, or is one
    ///   too many.
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

    /// Admits the declared payload of that frame, before any of it has arrived.
    ///
    /// - Throws: ``WebSocketError`` if the frame or the message would exceed its limit.
    mutating func admitPayload(_ length: Int) throws(WebSocketError) {
        guard length <= Self.onTheWire(limits.maximumFrameBytes, isCompressed) else { throw .frameTooLarge }
        let (total, overflow) = (message?.bytes ?? 0).addingReportingOverflow(length)
        guard !overflow, total <= Self.onTheWire(limits.maximumMessageBytes, isCompressed) else {
            throw .messageTooLarge
        }
        message?.bytes = total
    }

    /// Returns the wire limit for a limit on inflated bytes. Deflate lengthens incompressible data a little, by about
    /// five bytes in 16 KiB.
    private static func onTheWire(_ limit: Int, _ isCompressed: Bool) -> Int {
        guard isCompressed else { return limit }
        let (sum, overflow) = limit.addingReportingOverflow(limit / 1_024 + 64)
        return overflow ? limit : sum
    }

    /// Processes a chunk of payload, with an event, an error, or an event followed by an error as the result.
    ///
    /// Text before an invalid byte is delivered. So the delivered bytes do not depend on how the network split them.
    mutating func receive(_ chunk: ByteBuffer, endsMessage: Bool) -> (event: WebSocketEvent?, error: WebSocketError?) {
        guard var current = message else { return (nil, .unexpectedContinuation) }
        var bytes = chunk
        var isValid = true
        if current.kind == .text {
            let invalid = chunk.withUnsafeReadableBytes { current.validator.firstInvalidByte(in: $0) }
            if let invalid {
                bytes = chunk.getSlice(at: chunk.readerIndex, length: invalid) ?? ByteBuffer()
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
