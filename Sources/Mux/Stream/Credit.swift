/// The sender's view of a stream's credit: how far it may go, as an absolute offset (protocol page, section 4).
struct SendCredit: Sendable {
    /// Bytes handed to the carrier so far.
    private(set) var sent: UInt64 = 0
    /// The offset up to which the peer takes bytes.
    private(set) var limit: UInt64
    /// How far ahead of `sent` a grant can reasonably lie: more is no window but a mistake or an attack.
    static let furthest: UInt64 = 1 << 32

    init(initialWindow: UInt32) {
        limit = UInt64(initialWindow)
    }

    /// Bytes that may be sent now.
    var available: Int { Int(clamping: limit - sent) }

    /// Records that `count` bytes, at most ``available``, were handed to the carrier.
    mutating func use(_ count: Int) {
        sent += UInt64(min(count, available))
    }

    /// Takes the peer's CREDIT. A repetition is harmless.
    ///
    /// - Returns: whether more may be sent than before.
    /// - Throws: ``MuxError`` for an offset that runs backwards or lies beyond any window.
    mutating func grant(_ offset: UInt64) throws(MuxError) -> Bool {
        guard offset >= limit else {
            throw MuxError(.creditRange, "credit runs backwards, from \(limit) to \(offset)")
        }
        guard offset - sent <= Self.furthest else {
            throw MuxError(.creditRange, "credit reaches \(offset - sent) bytes ahead")
        }
        defer { limit = offset }
        return offset > limit
    }
}

/// The receiver's view: what has come, what has been written to the far socket, and what was granted
/// (protocol page, section 4).
struct ReceiveCredit: Sendable {
    /// Bytes that have come.
    private(set) var received: UInt64 = 0
    /// Bytes that the far socket has taken.
    private(set) var consumed: UInt64 = 0
    /// The offset that the peer was told.
    private(set) var granted: UInt64
    /// How much may be under way; grows while the path proves to be longer than it, and shrinks when memory is short.
    private(set) var window: UInt64
    private var grantedAt: Instant
    /// A stream that needs credit more often than this wants a wider window.
    static let busy = Duration.milliseconds(2)
    /// The same while half a window, which is how credit comes back, is less than a sender's longest turn; its own is not
    /// known here. A stream that cannot use its turn up has less than its share beside others, and is granted more once in
    /// a round of all of them. 100 ms: the turns of a hundred streams.
    static let sharing = Duration.milliseconds(100)

    init(window: Int, now: Instant) {
        self.window = UInt64(window)
        self.granted = UInt64(window)
        self.grantedAt = now
    }

    /// Bytes that have come and that no socket has taken yet.
    var buffered: Int { Int(clamping: received - consumed) }

    /// Charges incoming bytes.
    ///
    /// - Throws: ``MuxError`` for a single byte more than was granted.
    mutating func receive(_ count: Int) throws(MuxError) {
        let (sum, overflow) = received.addingReportingOverflow(UInt64(count))
        guard !overflow, sum <= granted else {
            throw MuxError(.creditOverrun, "\(count) bytes where \(granted - received) were granted")
        }
        received = sum
    }

    /// Records that the far socket has taken `count` bytes.
    mutating func consume(_ count: Int) {
        consumed = min(received, consumed + UInt64(count))
    }

    /// The offset for the next CREDIT, nil while less than half a window is to be given back.
    ///
    /// A window that was used up within two round trips is what limits the stream, so it doubles, up to `most`; so does
    /// one that was used up within ``busy``, where a CREDIT for each read would wake the peer each time, or within
    /// ``sharing`` where it is narrow. One that is wider than `most` shrinks to it; what was granted stays granted.
    mutating func nextGrant(now: Instant, roundTrip: Duration?, most: Int) -> UInt64? {
        window = min(window, UInt64(most))
        let next = consumed + window
        guard next >= granted + window / 2 else { return nil }
        let often = window / 2 < UInt64(CongestionWindow.maximumQuantum) ? Self.sharing : Self.busy
        if let roundTrip, now.since(grantedAt) < max(roundTrip * 2, often), window < UInt64(most) {
            window = min(window * 2, UInt64(most))
        }
        granted = consumed + window
        grantedAt = now
        return granted
    }
}
