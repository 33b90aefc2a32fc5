import NIOCore

/// Assembles the chunks of binary messages into frames; one message is one frame (protocol page, section 1).
///
/// Payloads are not joined: a DATA frame goes to its socket in the chunks in which it arrived. The assembler holds at
/// most one frame, and refuses a longer one as soon as it exceeds the limit.
public struct FrameAssembler: Sendable {
    private enum State {
        case header(ByteBuffer)
        case payload(FrameHeader, chunks: [ByteBuffer], length: Int)
    }

    /// Chunks of one payload. Later chunks are joined to the last one, so a peer that sends single bytes costs bytes,
    /// not buffers.
    static let maximumChunks = 64

    private var state = State.header(ByteBuffer())

    /// Whether the peer has authenticated. Until then, no frame may be longer than a control frame.
    public var isAdmitted = false

    /// Whether no byte of the next message has come.
    public var isIdle: Bool {
        if case .header(let bytes) = state { bytes.readableBytes == 0 } else { false }
    }

    /// Creates an assembler that waits for a message's first byte.
    public init() {}

    /// Processes the next chunk of the current message.
    ///
    /// - Returns: the frame if `isLast` completes it.
    /// - Throws: ``MuxError`` if the frame is too short, too long, of an unknown type or has a wrong stream number.
    public mutating func receive(_ chunk: ByteBuffer, isLast: Bool) throws(MuxError) -> InboundFrame? {
        var chunk = chunk
        switch state {
        case .header(var bytes):
            if bytes.readableBytes == 0, chunk.readableBytes >= MuxLimits.headerLength {
                return try receivePayload(FrameHeader(reading: &chunk), [], 0, chunk, isLast)
            }
            let missing = MuxLimits.headerLength - bytes.readableBytes
            if let part = chunk.readSlice(length: min(missing, chunk.readableBytes)) {
                bytes.writeImmutableBuffer(part)
            }
            guard bytes.readableBytes == MuxLimits.headerLength else {
                guard !isLast else {
                    throw MuxError(.frameLength, "a frame of \(bytes.readableBytes) bytes")
                }
                state = .header(bytes)
                return nil
            }
            return try receivePayload(FrameHeader(reading: &bytes), [], 0, chunk, isLast)
        case .payload(let header, let chunks, let length):
            // Moved out of the state, so that appending copies nothing.
            state = .header(ByteBuffer())
            return try receivePayload(header, consume chunks, length, chunk, isLast)
        }
    }

    private mutating func receivePayload(
        _ header: FrameHeader,
        _ earlier: consuming [ByteBuffer],
        _ length: Int,
        _ chunk: ByteBuffer,
        _ isLast: Bool
    ) throws(MuxError) -> InboundFrame? {
        var chunks = consume earlier
        let length = length + chunk.readableBytes
        let head = header.hasOffset ? FrameHeader.offsetLength : 0
        let limit = isAdmitted ? header.type.longestPayload + head : MuxLimits.maximumControl
        guard length <= limit else {
            throw MuxError(.frameLength, "\(header.type) frame with more than \(limit) bytes")
        }
        if chunk.readableBytes > 0 {
            if chunks.count < Self.maximumChunks {
                // A frame that arrives in many reads would keep each of them alive.
                chunks.append(isLast || chunks.isEmpty ? chunk : chunk.dense(from: 2))
            } else {
                chunks[chunks.count - 1].writeImmutableBuffer(chunk)
            }
        }
        guard isLast else {
            state = .payload(header, chunks: chunks, length: length)
            return nil
        }
        state = .header(ByteBuffer())
        if let fixed = header.type.fixedPayloadLength, fixed != length {
            throw MuxError(.frameLength, "\(header.type) frame with \(length) bytes of payload")
        }
        guard header.hasOffset else { return InboundFrame(header: header, pieces: chunks, payloadLength: length) }
        return try InboundFrame(header: header, chunks, takingOffsetFrom: length)
    }
}

extension InboundFrame {
    /// Takes the offset of a DATA frame from the front of its payload, which may lie in several chunks.
    fileprivate init(
        header: FrameHeader,
        _ chunks: consuming [ByteBuffer],
        takingOffsetFrom length: Int
    ) throws(MuxError) {
        guard length >= FrameHeader.offsetLength else {
            throw MuxError(.frameLength, "data frame with \(length) bytes for an offset")
        }
        var chunks = consume chunks
        var head = ByteBuffer()
        while head.readableBytes < FrameHeader.offsetLength, var chunk = chunks.first {
            let missing = FrameHeader.offsetLength - head.readableBytes
            if var part = chunk.readSlice(length: min(missing, chunk.readableBytes)) { head.writeBuffer(&part) }
            if chunk.readableBytes == 0 { chunks.removeFirst() } else { chunks[0] = chunk }
        }
        self.init(
            header: header,
            pieces: chunks,
            payloadLength: length - FrameHeader.offsetLength,
            offset: head.readInteger() ?? 0
        )
    }
}
