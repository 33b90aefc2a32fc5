import NIOCore

/// Decodes a stream of bytes into payloads as they arrive: data frames in chunks, control frames as a whole.
///
/// Every call consumes the input before it returns nil. Of an unfinished frame the decoder keeps only the header and,
/// for a control frame, up to 125 bytes. It allocates nothing for a declared length.
struct FrameDecoder: Sendable {
    /// An unmasked part of a frame.
    enum Part {
        /// Bytes of a message. `endsMessage` marks the last ones; `bytes` may be empty.
        case data(ByteBuffer, endsMessage: Bool)
        /// A complete control frame.
        case control(Opcode, ByteBuffer)
    }

    private enum State {
        case header
        case payload(FrameHeader, received: Int)
    }

    private var state = State.header
    private var header: FrameHeaderDecoder
    /// Whether a message that begins later may be compressed.
    var allowsCompression: Bool {
        get { header.allowsCompression }
        set { header.allowsCompression = newValue }
    }
    /// The received part of a control frame's payload, if it arrived in chunks.
    private var controlPayload = ByteBuffer()

    /// Creates a decoder for the frames that an end of this role receives.
    init(role: WebSocketRole, allowsCompression: Bool) {
        header = FrameHeaderDecoder(role: role, allowsCompression: allowsCompression)
    }

    /// Consumes bytes from `input` and returns the next part; nil once the input is consumed.
    ///
    /// - Throws: ``WebSocketError`` at the first byte that breaks a rule. The decoder must not be used afterwards.
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
        // The reader index moves once: consuming a byte costs more than reading it through the view.
        var count = 0
        defer { input.moveReaderIndex(forwardBy: count) }
        for byte in input.readableBytesView {
            count += 1
            if let complete = try header.receive(byte, messages: &messages) { return complete }
        }
        return nil
    }

    /// Returns the part that the bytes complete. Nil for an empty fragment that does not end its message, and for the
    /// beginning of a control frame.
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

    /// Removes bytes from the input and unmasks them. Without a mask the result is a slice. With a mask the bytes are
    /// unmasked in place if the input is uniquely owned. Otherwise they are copied once, since the receive pool or the
    /// consumer of an earlier chunk still holds the buffer.
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
