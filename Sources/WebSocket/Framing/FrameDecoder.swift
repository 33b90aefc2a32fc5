import NIOCore

/// Takes a stream of bytes apart into payloads, as they come: the payload of a data frame in pieces, that of a control
/// frame, which is short, in one.
///
/// All input is taken before nil is returned; what is kept of an unfinished frame is its header and, of a control
/// frame, up to 125 bytes. Nothing is allocated for a length that was only declared.
struct FrameDecoder: Sendable {
    /// Something of a frame, unmasked.
    enum Part {
        /// Bytes of a message. `endsMessage` marks the last ones, and `bytes` may be empty.
        case data(ByteBuffer, endsMessage: Bool)
        /// A whole control frame.
        case control(Opcode, ByteBuffer)
    }

    private enum State {
        case header
        case payload(FrameHeader, received: Int)
    }

    private var state = State.header
    private var header: FrameHeaderDecoder
    /// Whether a message that begins from now on may be compressed.
    var allowsCompression: Bool {
        get { header.allowsCompression }
        set { header.allowsCompression = newValue }
    }
    /// What came of a control frame's payload, when it came in pieces.
    private var controlPayload = ByteBuffer()

    /// A decoder for the frames that an end of that role receives.
    init(role: WebSocketRole, allowsCompression: Bool) {
        header = FrameHeaderDecoder(role: role, allowsCompression: allowsCompression)
    }

    /// Takes bytes from `input` and returns the next part, or nil when the input is used up. After an error the decoder
    /// is of no further use.
    mutating func next(
        from input: inout ByteBuffer,
        messages: inout MessageRules
    ) throws(WebSocketError) -> Part? {
        while true {
            switch state {
            case .header:
                guard let next = try readHeader(from: &input, messages: &messages) else { return nil }
                if next.payloadLength == 0 {
                    if let part = deliver(ByteBuffer(), of: next, endsFrame: true) { return part }
                } else {
                    state = .payload(next, received: 0)
                }

            case .payload(let current, let received):
                let missing = current.payloadLength - received
                let length = min(missing, input.readableBytes)
                guard length > 0 else { return nil }
                let bytes = Self.take(length, from: &input, key: current.maskingKey, phase: received)
                state = length == missing ? .header : .payload(current, received: received + length)
                if let part = deliver(bytes, of: current, endsFrame: length == missing) { return part }
            }
        }
    }

    private mutating func readHeader(
        from input: inout ByteBuffer,
        messages: inout MessageRules
    ) throws(WebSocketError) -> FrameHeader? {
        // Taken from the buffer at once: to take a byte costs more than to look at it.
        var count = 0
        defer { input.moveReaderIndex(forwardBy: count) }
        for byte in input.readableBytesView {
            count += 1
            if let complete = try header.receive(byte, messages: &messages) { return complete }
        }
        return nil
    }

    /// The part that the bytes make, or nil when they say nothing yet: a fragment without payload that does not end its
    /// message, or the beginning of a control frame.
    private mutating func deliver(_ bytes: ByteBuffer, of header: FrameHeader, endsFrame: Bool) -> Part? {
        guard header.opcode.isControl else {
            let endsMessage = endsFrame && header.isFinal
            return bytes.readableBytes > 0 || endsMessage ? .data(bytes, endsMessage: endsMessage) : nil
        }
        if endsFrame && controlPayload.readableBytes == 0 {
            return .control(header.opcode, bytes)
        }
        controlPayload.writeImmutableBuffer(bytes)
        guard endsFrame else { return nil }
        defer { controlPayload = ByteBuffer() }
        return .control(header.opcode, controlPayload)
    }

    /// Takes bytes out of the input, unmasked. Without a mask they are a slice of it. With one they are unmasked in
    /// place where nobody else holds the buffer, and copied once where somebody does: the socket's receive pool, or
    /// the consumer of an earlier piece.
    private static func take(_ length: Int, from input: inout ByteBuffer, key: UInt32?, phase: Int) -> ByteBuffer {
        guard let key else { return input.readSlice(length: length) ?? ByteBuffer() }
        let inPlace: Void? = input.modifyIfUniquelyOwned { buffer in
            buffer.withUnsafeMutableReadableBytes { bytes in
                Masking.apply(key, phase: phase, to: UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(length)))
            }
        }
        let bytes = input.readSlice(length: length) ?? ByteBuffer()
        if inPlace != nil { return bytes }
        var copy = ByteBufferAllocator().buffer(capacity: length)
        Masking.append(bytes, key: key, phase: phase, to: &copy)
        return copy
    }
}
