import NIOCore

/// One stream of a session: two halves that end on their own (protocol page, section 3).
///
/// A class, because the session's table, the ring of the scheduler and the frame at hand speak of the same one; it is
/// never seen outside the session.
final class Stream {
    let id: StreamID
    /// The tunnel at which the visitor came.
    let tunnel: UInt16
    private(set) var credit: SendCredit
    var receiving: ReceiveCredit
    private var lifecycle = StreamLifecycle()
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
    var readShare = ReadGate.Share()

    init(id: StreamID, tunnel: UInt16 = 0, sendWindow: UInt32, receiveWindow: Int, now: Instant) {
        self.id = id
        self.tunnel = tunnel
        self.credit = SendCredit(initialWindow: sendWindow)
        self.receiving = ReceiveCredit(window: receiveWindow, now: now)
    }

    /// Whether the opener still waits for ACCEPT.
    var isOpening: Bool { lifecycle.isOpening }

    /// Whether the peer has sent END or RESET.
    var inputEnded: Bool { lifecycle.inputEnded }

    /// Whether both directions have ended on the wire. The socket may still have bytes to take.
    var isFinished: Bool { lifecycle.isEnded }

    /// Whether the socket may still bring bytes.
    var isOpen: Bool { lifecycle.takesBytes }

    /// The code of the RESET that waits behind what is queued; nil if none waits.
    var pendingReset: ResetCode? { lifecycle.pendingReset }

    /// Whether the scheduler has something to take.
    var isReady: Bool { lifecycle.next(queued: queued, credit: credit.available) != nil }

    /// ACCEPT was sent or has come.
    func accept() {
        lifecycle.accept()
    }

    /// Queues bytes from the socket; ignored after the end.
    func append(_ bytes: ByteBuffer) {
        guard lifecycle.takesBytes else { return }
        queue.append(bytes)
    }

    /// The socket has no more bytes: END follows what is queued.
    func finish() {
        lifecycle.finish()
    }

    /// The socket was reset: RESET follows what is queued, at the latest when the caller overtakes it.
    func reset(_ code: ResetCode) {
        lifecycle.reset(code)
    }

    /// Drops from the queue what the peer has not given credit for.
    func dropWithoutCredit() {
        queue.keep(first: credit.available)
    }

    /// Takes the next frame: at most `limit` bytes of DATA, or the END or RESET after the last of them.
    ///
    /// - Returns: nil if nothing may be sent. After a RESET the caller removes the stream.
    func take(atMost limit: Int) -> OutboundFrame? {
        switch lifecycle.next(queued: queued, credit: credit.available) {
        case nil:
            return nil
        case .reset(let code):
            return code.frame(id)
        case .end:
            lifecycle.endSent()
            return OutboundFrame(.end, id)
        case .data:
            guard let piece = queue.popFirst(atMost: min(limit, credit.available)) else { return nil }
            credit.use(piece.readableBytes)
            return OutboundFrame(.data, id, piece)
        }
    }

    /// Applies a CREDIT frame.
    ///
    /// - Returns: whether the offset grants more than the one before.
    /// - Throws: ``MuxError`` for an impossible offset.
    func grant(_ offset: UInt64) throws(MuxError) -> Bool {
        try credit.grant(offset)
    }

    /// The stream is dead: drops what waits, and nothing more is sent.
    func abandon() {
        lifecycle.abandon()
        queue.removeAll()
    }

    /// The peer has sent END.
    func endInput() {
        lifecycle.endReceived()
    }
}
