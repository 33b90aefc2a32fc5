import NIOCore

/// Inflates a connection's compressed messages, one chunk at a time.
///
/// It creates zlib's state for the first compressed message and reuses it for later ones.
struct MessageInflater: ~Copyable, Sendable {
    /// The largest inflated chunk, bytes.
    static let maximumChunk = 65_536
    /// The largest buffer that is reused for the next chunk, bytes.
    private static let maximumReusedChunk = 4_096
    /// The longest match of deflate, bytes (RFC 1951, section 3.2.5).
    private static let longestMatch = 258

    /// The result of one step.
    enum Step {
        /// More input is needed.
        case needsInput
        /// Inflated bytes, empty only at the end of a message.
        case chunk(ByteBuffer, endsMessage: Bool)
        /// An error, and the bytes before it.
        case failed(WebSocketError, after: ByteBuffer)
    }

    private let noContextTakeover: Bool
    private var inflater: Inflater?
    /// Received bytes that are not inflated yet.
    private var input: (bytes: ByteBuffer, endsMessage: Bool)?
    /// Inflated bytes of the current message.
    private var inflatedBytes = 0
    /// The expected size of the current message, which is the size of the one before.
    private var expectedBytes = 0
    /// The last chunk if it was short. Its memory is reused once no consumer holds it: two calls of the allocator cost
    /// 3 % of inflating 1 KiB.
    private var lastChunk = ByteBuffer()

    init(noContextTakeover: Bool) {
        self.noContextTakeover = noContextTakeover
    }

    /// Whether received bytes wait to be inflated.
    var hasInput: Bool { input != nil }

    /// Adds a part of a message. The part before must have been inflated.
    mutating func receive(_ bytes: ByteBuffer, endsMessage: Bool) {
        input = (bytes, endsMessage)
    }

    /// Inflates the next chunk, at most one byte more than the message may have, so that a deflate bomb is noticed there.
    ///
    /// Bytes before an error are returned with it. So the delivered bytes do not depend on how the network split them.
    ///
    /// - Parameter limit: bytes by which the message may still grow.
    mutating func next(limit: Int) -> Step {
        guard case (var bytes, let endsMessage)? = input.take() else { return .needsInput }
        if inflater == nil { inflater = Inflater.make(noContextTakeover: noContextTakeover) }
        // One chunk for a message like the one before, or four times the received bytes.
        let guess = max(256, min(bytes.readableBytes, Self.maximumChunk) * 4, expectedBytes - inflatedBytes)
        let wanted = min(guess, Self.maximumChunk)
        let room = limit < wanted ? limit + 1 : wanted
        lastChunk.clear(minimumCapacity: room)
        let step = inflater?.inflate(&bytes, endsMessage: endsMessage, into: &lastChunk, atMost: room) ?? .invalid
        var chunk = lastChunk
        if chunk.capacity > Self.maximumReusedChunk { lastChunk = ByteBuffer() }
        let isComplete = step == .drained && endsMessage
        if step == .full { input = (bytes, endsMessage) }
        guard step != .invalid, chunk.readableBytes <= limit else {
            let error: WebSocketError = chunk.readableBytes > limit ? .messageTooLarge : .invalidDeflate
            return .failed(error, after: chunk.readSlice(length: min(limit, chunk.readableBytes)) ?? chunk)
        }
        inflatedBytes += chunk.readableBytes
        if isComplete {
            // One byte more than the message, so that the same step sees its end. Without room for the longest match
            // zlib inflates byte by byte, which costs 4 % at 1 KiB.
            expectedBytes = min(inflatedBytes, Self.maximumChunk) + Self.longestMatch + 1
            inflatedBytes = 0
        }
        return isComplete || chunk.readableBytes > 0 ? .chunk(chunk, endsMessage: isComplete) : .needsInput
    }

    /// Discards received bytes and reusable memory at the end of the connection.
    mutating func removeAll() {
        input = nil
        lastChunk = ByteBuffer()
    }
}
