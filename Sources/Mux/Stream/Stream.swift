import NIOCore

/// One stream of a session: two halves that end on their own (protocol page, section 3).
///
/// A class, because the session's table, the ring of the scheduler and the frame at hand speak of the same one; it is
/// never seen outside the session.
final class Stream {
    /// What this end still sends.
    private enum Outgoing {
        case open
        /// The socket has no more bytes; END follows the queue.
        case finishing
        /// The socket was reset; RESET follows the queue.
        case resetting(ResetCode)
        case ended
    }

    let id: StreamID
    /// The tunnel at which the visitor came.
    let tunnel: UInt16
    private(set) var credit: SendCredit
    var receiving: ReceiveCredit
    private var outgoing = Outgoing.open
    private var queue = ChunkQueue()
    /// Bytes in the queue.
    var queued: Int { queue.bytes }
    /// What their buffers take, bytes.
    var queuedStorage: Int { queue.storage }
    /// What of this the session has counted.
    var countedStorage = 0
    /// Whether the stream stands in the scheduler's ring.
    var isScheduled = false
    /// Whether the socket was told to stop, and waits for `.sendable`.
    var isBlocked = false
    /// Its part in whose socket is read next.
    var readAhead = ReadAhead.Share()
    /// Whether the peer has sent END.
    private(set) var inputEnded = false
    /// Whether the opener still waits for ACCEPT.
    var isOpening = true

    init(id: StreamID, tunnel: UInt16 = 0, sendWindow: UInt32, receiveWindow: Int, now: Instant) {
        self.id = id
        self.tunnel = tunnel
        self.credit = SendCredit(initialWindow: sendWindow)
        self.receiving = ReceiveCredit(window: receiveWindow, now: now)
    }

    /// Both ENDs have gone their way, or the peer's RESET has come. The socket may still have bytes to take.
    var isFinished: Bool {
        if case .ended = outgoing { inputEnded } else { false }
    }

    /// Whether the socket may still bring bytes.
    var isOpen: Bool {
        if case .open = outgoing { true } else { false }
    }

    /// Whether the scheduler has something to take.
    var isReady: Bool {
        switch outgoing {
        case .open: queued > 0 && credit.available > 0
        case .finishing, .resetting: queued == 0 || credit.available > 0
        case .ended: false
        }
    }

    /// Queues bytes from the socket; ignored after the end.
    func append(_ bytes: ByteBuffer) {
        guard case .open = outgoing else { return }
        queue.append(bytes)
    }

    /// The socket has no more bytes.
    func finish() {
        guard case .open = outgoing else { return }
        outgoing = .finishing
    }

    /// The socket was reset: RESET follows what is queued, at the latest when the caller overtakes it.
    func reset(_ code: ResetCode) {
        outgoing = .resetting(code)
    }

    /// Keeps of the queue what may be sent now.
    func dropWithoutCredit() {
        queue.keep(first: credit.available)
    }

    /// The code of the RESET that waits behind what is queued; nil if none waits.
    var pendingReset: ResetCode? {
        if case .resetting(let code) = outgoing { code } else { nil }
    }

    /// Takes the next frame's worth: bytes, at most `most` of them, or the END or RESET after the last ones.
    func take(atMost most: Int) -> OutboundFrame? {
        guard isReady else { return nil }
        guard queued > 0 else {
            // The session forgets the stream with its RESET.
            if let reset = pendingReset { return reset.frame(id) }
            outgoing = .ended
            return OutboundFrame(.end, id)
        }
        guard let piece = queue.popFirst(atMost: min(most, credit.available)) else { return nil }
        credit.use(piece.readableBytes)
        return OutboundFrame(.data, id, piece)
    }

    /// Takes a CREDIT; true when the stream may go on.
    func grant(_ offset: UInt64) throws(MuxError) -> Bool {
        try credit.grant(offset)
    }

    /// The stream is dead: what waited is thrown away, and the scheduler passes it over.
    func abandon() {
        outgoing = .ended
        queue.removeAll()
    }

    /// The peer has sent END.
    func endInput() {
        inputEnded = true
    }
}
