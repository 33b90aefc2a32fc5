/// The receiver's side of a stream's credit: bytes received, bytes written to the far socket, and bytes granted
/// (protocol page, section 4).
struct ReceiveCredit: Sendable {
    /// Bytes received.
    private(set) var received: UInt64 = 0
    /// Bytes that the far socket has accepted.
    private(set) var consumed: UInt64 = 0
    /// The offset last sent to the peer.
    private(set) var granted: UInt64
    /// Bytes that may be in flight. The window grows while it limits the stream and shrinks when memory is short.
    private(set) var window: UInt64
    /// When half a window was last used, and the bytes that the far socket had accepted then.
    private var used: (at: Instant, consumed: UInt64)
    /// Interval below which a stream that needs credit gets a wider window.
    static let busy = Duration.milliseconds(2)
    /// The same interval for a window whose half, the unit of a grant, is below the sender's quantum.
    ///
    /// A stream that cannot fill its quantum gets less than its share, and receives credit once in each round of all
    /// streams. 100 ms is a round of a hundred streams. The peer's quantum is unknown, so ours stands for it.
    static let sharing = Duration.milliseconds(100)

    init(window: Int, now: Instant) {
        self.window = UInt64(window)
        self.granted = UInt64(window)
        used = (now, 0)
    }

    /// Bytes received that the socket has not accepted yet.
    var buffered: Int { Int(clamping: received - consumed) }

    /// Counts incoming bytes against the credit.
    ///
    /// - Throws: ``MuxError`` if the bytes exceed what was granted.
    mutating func receive(_ count: Int) throws(MuxError) {
        let (sum, overflow) = received.addingReportingOverflow(UInt64(count))
        guard !overflow, sum <= granted else {
            throw MuxError(.creditOverrun, "\(count) bytes with \(granted - received) granted")
        }
        received = sum
    }

    /// Checks bytes that arrive before earlier ones.
    ///
    /// - Throws: ``MuxError`` if they lie beyond what was granted.
    func expect(_ count: Int, at offset: UInt64) throws(MuxError) {
        let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
        guard !overflow, end <= granted else {
            throw MuxError(.creditOverrun, "\(count) bytes at \(offset) with \(granted) granted")
        }
    }

    /// Records that the far socket has accepted `count` bytes.
    mutating func consume(_ count: Int) {
        consumed = min(received, consumed + UInt64(count))
    }

    /// Round trip from which a wide window is returned in eighths.
    ///
    /// Otherwise a distant sender uses its credit up while half a window is on its way back. On a short path more CREDITs
    /// would only wake the peer more often.
    static let far = Duration.milliseconds(5)
    /// Fewest bytes that are returned at once on a far path.
    static let farStep: UInt64 = 65_536
    /// Least window of a stream on a far path whose socket has accepted more than a request has. 256 KiB: TCP sends as much in
    /// its first four or five round trips.
    ///
    /// A window of 64 KiB grows only when half of it has been used, so the stream waits for credit meanwhile. A download of
    /// 12 s over 100 ms then had 0.97 times the throughput.
    static let farWindow: UInt64 = 262_144

    /// Returns the offset for the next CREDIT; nil while less than half a window can be returned, or an eighth of a wide
    /// window on a far path.
    ///
    /// The window doubles, up to `limit`, when half of it was used within two round trips, since it then limits the stream.
    /// It also doubles when that took less than ``busy``, because each CREDIT wakes the peer. A narrow window doubles when it
    /// took less than ``sharing``. If `hasRoom`, a stream on a far path has ``farWindow`` at least. A window above `limit`
    /// shrinks to `limit`; credit already granted stays.
    ///
    /// - Parameter hasRoom: whether all streams of the session may have ``farWindow``.
    mutating func nextGrant(now: Instant, roundTrip: Duration?, limit: Int, hasRoom: Bool) -> UInt64? {
        window = min(window, UInt64(limit))
        let isFar = roundTrip ?? .zero >= Self.far
        let least = min(Self.farWindow, UInt64(limit))
        if isFar, hasRoom, window < least, consumed > SendScheduler.interactiveBytes {
            window = least
            used = (now, consumed)
        }
        let half = window / 2
        let step = isFar ? min(half, max(window / 8, Self.farStep)) : half
        guard consumed + window >= granted + step else { return nil }
        if consumed - used.consumed >= half {
            let frequent = half < UInt64(CongestionWindow.maximumQuantum) ? Self.sharing : Self.busy
            if let roundTrip, now.since(used.at) < max(roundTrip * 2, frequent), window < UInt64(limit) {
                window = min(window * 2, UInt64(limit))
            }
            used = (now, consumed)
        }
        granted = consumed + window
        return granted
    }
}
