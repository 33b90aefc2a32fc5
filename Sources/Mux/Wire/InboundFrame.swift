import NIOCore

/// A frame from the peer, complete and checked as far as its header goes.
public struct InboundFrame: Sendable {
    /// The checked header.
    public let header: FrameHeader
    /// The payload in the pieces in which it came, never empty ones.
    public let pieces: [ByteBuffer]
    /// Bytes in all pieces together.
    public let payloadLength: Int

    /// The payload in one piece; copies only where the network cut it.
    public var payload: ByteBuffer {
        guard var joined = pieces.first else { return ByteBuffer() }
        for piece in pieces.dropFirst() {
            joined.writeImmutableBuffer(piece)
        }
        return joined
    }

    /// The same in buffers of their own size, for a frame that waits: a slice keeps the whole read alive.
    public var dense: InboundFrame {
        InboundFrame(header: header, pieces: pieces.map { $0.dense(from: 2) }, payloadLength: payloadLength)
    }

    /// What the pieces' buffers take, bytes.
    public var storage: Int { pieces.reduce(0) { $0 + $1.storageCapacity } }

    /// The number that CREDIT, PING, PONG and ACK carry. The assembler has checked the length.
    var number: UInt64 {
        var payload = payload
        return payload.readInteger() ?? 0
    }
}

/// Turns the pieces of binary messages into frames: one message is one frame (protocol page, section 1).
///
/// Payloads are not joined: a DATA frame goes on to its socket in the pieces in which it came. What is held at most is
/// one frame, since the assembler refuses longer ones as soon as it sees that they are.
public struct FrameAssembler: Sendable {
    private enum State {
        case header(ByteBuffer)
        case payload(FrameHeader, pieces: [ByteBuffer], length: Int)
    }

    /// Pieces that a payload is kept in; what comes in smaller shreds is joined to the last one, so that a peer that
    /// sends single bytes makes us keep bytes and not buffers.
    static let mostPieces = 64

    private var state = State.header(ByteBuffer())

    /// Whether the peer has authenticated; before, no frame may be longer than a control frame.
    public var isAdmitted = false

    /// Creates an assembler that waits for a message's first byte.
    public init() {}

    /// Takes the next piece of the current message, and returns the frame when `isLast` completes it.
    ///
    /// - Throws: ``MuxError`` for a frame that is too short, too long, of an unknown type or with a wrong number.
    public mutating func receive(_ piece: ByteBuffer, isLast: Bool) throws(MuxError) -> InboundFrame? {
        var piece = piece
        switch state {
        case .header(var bytes):
            if bytes.readableBytes == 0, piece.readableBytes >= MuxLimits.headerLength {
                return try receivePayload(FrameHeader(reading: &piece), [], 0, piece, isLast)
            }
            let missing = MuxLimits.headerLength - bytes.readableBytes
            if let part = piece.readSlice(length: min(missing, piece.readableBytes)) {
                bytes.writeImmutableBuffer(part)
            }
            guard bytes.readableBytes == MuxLimits.headerLength else {
                guard !isLast else {
                    throw MuxError(.frameLength, "a frame of \(bytes.readableBytes) bytes")
                }
                state = .header(bytes)
                return nil
            }
            return try receivePayload(FrameHeader(reading: &bytes), [], 0, piece, isLast)
        case .payload(let header, let pieces, let length):
            // Taken out of the state, so that appending to it copies nothing.
            state = .header(ByteBuffer())
            return try receivePayload(header, consume pieces, length, piece, isLast)
        }
    }

    private mutating func receivePayload(
        _ header: FrameHeader,
        _ earlier: consuming [ByteBuffer],
        _ length: Int,
        _ piece: ByteBuffer,
        _ isLast: Bool
    ) throws(MuxError) -> InboundFrame? {
        var pieces = consume earlier
        let length = length + piece.readableBytes
        let most = header.type == .data && isAdmitted ? MuxLimits.maximumData : MuxLimits.maximumControl
        guard length <= most else {
            throw MuxError(.frameLength, "\(header.type) frame with more than \(most) bytes")
        }
        if piece.readableBytes > 0 {
            if pieces.count < Self.mostPieces {
                // A frame that comes in many reads would keep each of them alive.
                pieces.append(isLast || pieces.isEmpty ? piece : piece.dense(from: 2))
            } else {
                pieces[pieces.count - 1].writeImmutableBuffer(piece)
            }
        }
        guard isLast else {
            state = .payload(header, pieces: pieces, length: length)
            return nil
        }
        state = .header(ByteBuffer())
        if let fixed = header.type.fixedPayloadLength, fixed != length {
            throw MuxError(.frameLength, "\(header.type) frame with \(length) bytes of payload")
        }
        return InboundFrame(header: header, pieces: pieces, payloadLength: length)
    }
}
