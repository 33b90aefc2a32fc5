import NIOCore

/// Bytes that wait, in the pieces in which they came. Crumbs are gathered into one buffer, so that whoever sends single
/// bytes makes us keep bytes and not buffers, each of which may be a slice of a large one.
package struct PieceQueue: Sendable {
    /// Pieces that have this size together share a buffer; copying so little costs less than a further piece.
    private static let gatherLimit = 4_096

    /// Small at first: each of thousands of streams has some of these queues, nearly all of them empty.
    private var pieces = CircularBuffer<ByteBuffer>(initialCapacity: 1)
    /// Bytes in all pieces.
    package private(set) var bytes = 0

    /// An empty queue.
    package init() {}

    /// Whether nothing waits.
    package var isEmpty: Bool { pieces.isEmpty }

    /// Appends a piece. What is empty is left out.
    package mutating func append(_ piece: ByteBuffer) {
        guard piece.readableBytes > 0 else { return }
        bytes += piece.readableBytes
        if let last = pieces.indices.last, pieces[last].readableBytes + piece.readableBytes <= Self.gatherLimit {
            pieces[last].writeImmutableBuffer(piece)
        } else if piece.readableBytes < Self.gatherLimit, piece.storageCapacity > 4 * Self.gatherLimit {
            pieces.append(ByteBuffer(bytes: piece.readableBytesView))
        } else {
            pieces.append(piece)
        }
    }

    /// Takes the first piece, or as much of it as `most` bytes.
    package mutating func popFirst(atMost most: Int = .max) -> ByteBuffer? {
        guard let first = pieces.first else { return nil }
        guard first.readableBytes > most else {
            bytes -= first.readableBytes
            return pieces.popFirst()
        }
        guard let part = pieces[pieces.startIndex].readSlice(length: max(0, most)) else { return nil }
        bytes -= part.readableBytes
        return part
    }

    /// Throws everything away.
    package mutating func removeAll() {
        pieces.removeAll()
        bytes = 0
    }
}
