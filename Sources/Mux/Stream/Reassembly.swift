import NIOCore

/// Bytes of a stream that arrived before earlier ones, over another lane (protocol page, section 4).
///
/// The stream's credit bounds them: they lie below the granted offset and never overlap. Each piece has storage of its own
/// size, so a small piece does not keep a large read alive.
struct Reassembly {
    fileprivate struct Piece {
        var offset: UInt64
        var bytes: ByteBuffer
        var end: UInt64 { offset + UInt64(bytes.readableBytes) }
    }

    /// In the order of their offsets, without overlaps, from `first` on. An array, since an empty one allocates nothing.
    private var pieces: [Piece] = []
    private var first = 0
    /// Pieces that may have left before the array is cleaned.
    private static let maximumGone = 32
    /// Storage of the pieces with a fixed charge for each one, bytes.
    private(set) var cost = 0

    /// Whether nothing is held.
    var isEmpty: Bool { first == pieces.count }

    /// Pieces that a stream may hold. 4,096: an honest sender of a window of 4 MiB has 256 of 16 KiB each. To insert one
    /// piece among many takes time.
    static let mostPieces = 4_096

    /// Whether more pieces are held than a stream may hold.
    var isOverfull: Bool { pieces.count - first > Self.mostPieces }

    /// The offset behind the last byte that is held; nil if nothing is.
    var end: UInt64? { isEmpty ? nil : pieces.last?.end }

    /// Keeps bytes that begin at `offset`, except those that are held already.
    mutating func insert(_ bytes: ByteBuffer, at offset: UInt64) {
        var piece = Piece(offset: offset, bytes: bytes)
        var index = position(of: offset)
        if index > first { piece.trim(before: pieces[index - 1].end) }
        while piece.bytes.readableBytes > 0 {
            guard index < pieces.count, pieces[index].offset < piece.end else { return add(piece, at: index) }
            let next = pieces[index]
            if next.offset > piece.offset, let part = piece.take(before: next.offset) {
                add(part, at: index)
                index += 1
            }
            piece.trim(before: next.end)
            index += 1
        }
    }

    /// Removes and returns the bytes at `offset`, if they are held. Drops earlier ones.
    mutating func next(at offset: UInt64) -> ByteBuffer? {
        while first < pieces.count, pieces[first].offset <= offset {
            var piece = pieces[first]
            pieces[first].bytes = ByteBuffer()
            first += 1
            clean()
            cost -= piece.cost
            piece.trim(before: offset)
            if piece.bytes.readableBytes > 0 { return piece.bytes }
        }
        return nil
    }

    /// Drops everything.
    mutating func removeAll() {
        self = Reassembly()
    }

    private mutating func clean() {
        if first == pieces.count {
            pieces = []
            first = 0
        } else if first > Self.maximumGone, first > pieces.count / 2 {
            pieces.removeFirst(first)
            first = 0
        }
    }

    private mutating func add(_ piece: Piece, at index: Int) {
        var piece = piece
        piece.bytes = piece.bytes.dense(from: 2)
        pieces.insert(piece, at: index)
        cost += piece.cost
    }

    /// The index of the first piece that begins behind `offset`.
    private func position(of offset: UInt64) -> Int {
        // Most pieces arrive behind all others.
        if let last = pieces.last, last.offset <= offset { return pieces.count }
        var (low, high) = (first, pieces.count)
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Reassembly.Piece {
    fileprivate var cost: Int { bytes.storageCapacity + MuxLimits.frameCost }

    /// Drops the bytes before an offset.
    fileprivate mutating func trim(before limit: UInt64) {
        guard limit > offset else { return }
        let count = min(Int(clamping: limit - offset), bytes.readableBytes)
        bytes.moveReaderIndex(forwardBy: count)
        offset += UInt64(count)
    }

    /// Removes and returns the bytes before an offset.
    fileprivate mutating func take(before limit: UInt64) -> Self? {
        guard let part = bytes.readSlice(length: min(Int(clamping: limit - offset), bytes.readableBytes)) else {
            return nil
        }
        defer { offset += UInt64(part.readableBytes) }
        return Self(offset: offset, bytes: part)
    }
}
