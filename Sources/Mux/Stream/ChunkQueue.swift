import NIOCore

/// A queue of bytes, kept in the chunks in which they arrived.
///
/// Small chunks are gathered into one buffer. A peer that sends single bytes therefore costs bytes, not buffers; each
/// buffer may be a slice of a much larger one.
///
/// A session has several of these queues for each of thousands of streams. Most are empty or hold one chunk briefly.
/// The first chunk is stored inline, so an empty queue allocates nothing.
package struct ChunkQueue: Sendable {
    /// Combined size below which two chunks share a buffer, bytes. Copying this little costs less than another buffer.
    private static let gatherLimit = 4_096
    /// Capacity of the buffers that packed chunks share, bytes.
    private static let packedCapacity = 32_768

    private var first: ByteBuffer?
    /// The chunks behind the first one; nil if the queue has no second chunk.
    private var others: CircularBuffer<ByteBuffer>?
    /// Bytes in all chunks.
    package private(set) var bytes = 0
    /// Capacity of the chunks' buffers, bytes. A chunk that was taken in part counts in full.
    package private(set) var storage = 0

    /// Creates an empty queue.
    package init() {}

    /// Whether the queue holds no bytes.
    package var isEmpty: Bool { first == nil }

    /// Appends a chunk; an empty chunk is ignored.
    ///
    /// - Parameter isPacked: copies chunks below 16 KiB into shared buffers, for a queue whose bytes wait long.
    package mutating func append(_ chunk: ByteBuffer, isPacked: Bool = false) {
        guard chunk.readableBytes > 0 else { return }
        bytes += chunk.readableBytes
        if gather(chunk, isPacked) { return }
        var kept = chunk.dense(from: 2)
        if isPacked, chunk.readableBytes < Self.packedCapacity / 2 {
            kept = ByteBufferAllocator().buffer(capacity: first == nil ? chunk.readableBytes : Self.packedCapacity)
            kept.writeImmutableBuffer(chunk)
        }
        storage += kept.storageCapacity
        if first == nil {
            first = kept
        } else {
            others = others ?? CircularBuffer(initialCapacity: 2)
            others?.append(kept)
        }
    }

    /// Copies a chunk into the last buffer if both are small or the last buffer has room for it.
    ///
    /// - Returns: false if the chunk needs a buffer of its own.
    private mutating func gather(_ chunk: ByteBuffer, _ isPacked: Bool) -> Bool {
        guard let last = others?.last ?? first else { return false }
        let isSmall = last.readableBytes + chunk.readableBytes <= Self.gatherLimit
        guard
            isSmall
                || isPacked && last.storageCapacity == Self.packedCapacity && last.writableBytes >= chunk.readableBytes
        else { return false }
        storage -= last.storageCapacity
        if let index = others?.indices.last {
            others?[index].writeImmutableBuffer(chunk)
        } else {
            first?.writeImmutableBuffer(chunk)
        }
        storage += (others?.last ?? first)?.storageCapacity ?? 0
        return true
    }

    /// Removes and returns the first chunk, or its first `limit` bytes; nil if the queue is empty.
    package mutating func popFirst(atMost limit: Int = .max) -> ByteBuffer? {
        guard let length = first?.readableBytes else { return nil }
        guard length <= limit else {
            guard let part = first?.readSlice(length: max(0, limit)) else { return nil }
            bytes -= part.readableBytes
            return part
        }
        bytes -= length
        storage -= first?.storageCapacity ?? 0
        defer {
            first = others?.popFirst()
            if first == nil { others = nil }
        }
        return first
    }

    /// Keeps the first `count` bytes and discards the rest.
    package mutating func keep(first count: Int) {
        var kept = ChunkQueue()
        while kept.bytes < count, let chunk = popFirst(atMost: count - kept.bytes) { kept.append(chunk) }
        self = kept
    }

    /// Discards all bytes.
    package mutating func removeAll() {
        self = ChunkQueue()
    }
}
