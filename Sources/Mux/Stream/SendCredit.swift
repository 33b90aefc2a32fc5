/// The sender's side of a stream's credit: an absolute offset up to which it may send (protocol page, section 4).
struct SendCredit: Sendable {
    /// Bytes handed to the carrier.
    private(set) var sent: UInt64 = 0
    /// The offset up to which the peer accepts bytes.
    private(set) var limit: UInt64
    /// Largest distance of a grant beyond `sent`, bytes. A larger one is a mistake or an attack, since no window is
    /// that wide.
    static let furthest: UInt64 = 1 << 32

    init(initialWindow: UInt32) {
        limit = UInt64(initialWindow)
    }

    /// Bytes that may be sent now.
    var available: Int { Int(clamping: limit - sent) }

    /// Records that `count` bytes were handed to the carrier; `count` is at most ``available``.
    mutating func use(_ count: Int) {
        sent += UInt64(min(count, available))
    }

    /// Applies the peer's CREDIT. Repeating an offset is harmless.
    ///
    /// - Returns: whether the offset allows more bytes than before.
    /// - Throws: ``MuxError`` if the offset is lower than the last one or too far ahead.
    mutating func grant(_ offset: UInt64) throws(MuxError) -> Bool {
        guard offset >= limit else {
            throw MuxError(.creditRange, "credit decreases from \(limit) to \(offset)")
        }
        guard offset - sent <= Self.furthest else {
            throw MuxError(.creditRange, "credit reaches \(offset - sent) bytes ahead")
        }
        defer { limit = offset }
        return offset > limit
    }
}
