import NIOCore

/// Bytes that wait, in the pieces in which they came. Crumbs are gathered into one buffer, so that whoever sends single
/// bytes makes us keep bytes and not buffers, each of which may be a slice of a large one.
///
/// Each of thousands of streams has some of these queues, most of them empty or with one piece for a moment. So the
/// first piece stands in the queue itself, and an empty queue owns no memory.
package struct ChunkQueue: Sendable {
    /// Pieces that have this size together share a buffer; copying so little costs less than a further piece.
    private static let gatherLimit = 4_096
    /// Pieces that are packed share buffers of this size.
    private static let chunk = 32_768

    private var first: ByteBuffer?
    /// What comes behind the first piece; nil where there is no first one.
    private var others: CircularBuffer<ByteBuffer>?
    /// Bytes in all pieces.
    package private(set) var bytes = 0
    /// What the pieces' buffers take, bytes. A piece that is partly taken counts whole.
    package private(set) var storage = 0

    /// An empty queue.
    package init() {}

    /// Whether nothing waits.
    package var isEmpty: Bool { first == nil }

    /// Appends a piece. What is empty is left out.
    ///
    /// - Parameter isPacked: copies pieces of less than 16 KiB into buffers that they fill, for a queue that waits long.
    package mutating func append(_ piece: ByteBuffer, isPacked: Bool = false) {
        guard piece.readableBytes > 0 else { return }
        bytes += piece.readableBytes
        if gather(piece, isPacked) { return }
        var kept = piece.dense(from: 2)
        if isPacked, piece.readableBytes < Self.chunk / 2 {
            kept = ByteBufferAllocator().buffer(capacity: first == nil ? piece.readableBytes : Self.chunk)
            kept.writeImmutableBuffer(piece)
        }
        storage += kept.storageCapacity
        if first == nil {
            first = kept
        } else {
            others = others ?? CircularBuffer(initialCapacity: 2)
            others?.append(kept)
        }
    }

    /// Copies a piece behind the last one, if both are small together or the last one has room for it.
    private mutating func gather(_ piece: ByteBuffer, _ isPacked: Bool) -> Bool {
        guard let last = others?.last ?? first else { return false }
        let isSmall = last.readableBytes + piece.readableBytes <= Self.gatherLimit
        guard isSmall || isPacked && last.storageCapacity == Self.chunk && last.writableBytes >= piece.readableBytes
        else { return false }
        storage -= last.storageCapacity
        if let index = others?.indices.last {
            others?[index].writeImmutableBuffer(piece)
        } else {
            first?.writeImmutableBuffer(piece)
        }
        storage += (others?.last ?? first)?.storageCapacity ?? 0
        return true
    }

    /// Takes the first piece, or as much of it as `most` bytes.
    package mutating func popFirst(atMost most: Int = .max) -> ByteBuffer? {
        guard let length = first?.readableBytes else { return nil }
        guard length <= most else {
            guard let part = first?.readSlice(length: max(0, most)) else { return nil }
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

    /// Keeps so many of the first bytes, and throws the others away.
    package mutating func keep(first count: Int) {
        var kept = ChunkQueue()
        while kept.bytes < count, let piece = popFirst(atMost: count - kept.bytes) { kept.append(piece) }
        self = kept
    }

    /// Throws everything away.
    package mutating func removeAll() {
        self = ChunkQueue()
    }
}
