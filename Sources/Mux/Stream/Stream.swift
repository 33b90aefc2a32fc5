import NIOCore

/// One stream of a session, with two directions that end independently (protocol page, section 3).
///
/// A class, because the stream table, the scheduler and the frame in progress share it. It never leaves the session.
final class Stream {
    let id: StreamID
    /// The tunnel that the visitor connected to; 0 for a stream that the client has opened.
    let tunnel: UInt16
    /// What it carries. A stream of kind udp has datagrams, and neither bytes nor END.
    let kind: StreamKind
    /// Datagrams that wait for the carrier.
    var datagrams = DatagramQueue()
    /// The lane over which this end's OPEN or ACCEPT has left; nil before that. Until then datagrams wait.
    var announced: LaneID?
    /// Whether the peer is known to have that frame, so that others may go over any lane.
    var isKnown = false
    /// Bytes that arrived before earlier ones.
    var held = Reassembly()
    /// The peer's END or RESET that arrived before earlier bytes.
    var ending: Ending?

    /// An END or RESET of the peer that waits for bytes over another lane.
    enum Ending {
        case end(after: UInt64)
        case reset(ResetCode, after: UInt64)

        /// The offset behind the last byte.
        var offset: UInt64 {
            switch self {
            case .end(let offset), .reset(_, let offset): offset
            }
        }
    }
    /// Whether the stream stands in the ring of flows.
    var isFlowWaiting = false
    private(set) var credit: SendCredit
    var receiving: ReceiveCredit
    private var lifecycle = StreamLifecycle()
    private var queue = ChunkQueue()
    /// Bytes in the send queue.
    var queued: Int { queue.bytes }
    /// Capacity of the queue's buffers, bytes.
    var queuedStorage: Int { queue.storage }
    /// The part of `queuedStorage` that the session has counted, bytes.
    var countedStorage = 0
    /// Whether the scheduler holds the stream.
    var isScheduled = false
    /// Whether the socket was paused and waits for `.sendable`.
    var isBlocked = false
    /// Whether its last DATA was no short frame, sent and received. A short one behind it is the rest of a chunk, and no
    /// keystroke or request.
    var hasSentLong = false
    var hasReceivedLong = false
    /// The stream's state in the read gate.
    var readShare = ReadGate.Share()

    init(
        id: StreamID,
        kind: StreamKind = .tcp,
        tunnel: UInt16 = 0,
        sendWindow: UInt32,
        receiveWindow: Int,
        now: Instant
    ) {
        self.id = id
        self.kind = kind
        self.tunnel = tunnel
        self.credit = SendCredit(initialWindow: sendWindow)
        self.receiving = ReceiveCredit(window: receiveWindow, now: now)
    }

    /// Memory of bytes that arrived and that no socket has accepted.
    var bufferedCost: Int { receiving.buffered + held.cost }

    /// Whether the opener still waits for ACCEPT.
    var isOpening: Bool { lifecycle.isOpening }

    /// Whether the peer has sent END or RESET.
    var inputEnded: Bool { lifecycle.inputEnded }

    /// Whether both directions have ended on the wire. The socket may still have bytes to accept.
    var isFinished: Bool { lifecycle.isEnded }

    /// Whether the socket may still deliver bytes.
    var isOpen: Bool { lifecycle.takesBytes }

    /// The code of the RESET that waits behind the queue; nil if none waits.
    var pendingReset: ResetCode? { lifecycle.pendingReset }

    /// Whether the stream has a frame to send.
    var isReady: Bool { lifecycle.next(queued: queued, credit: credit.available) != nil }

    /// Records that ACCEPT was sent or received.
    func accept() {
        lifecycle.accept()
    }

    /// Queues bytes from the socket; ignored after the end.
    func append(_ bytes: ByteBuffer) {
        guard lifecycle.takesBytes else { return }
        queue.append(bytes)
    }

    /// Records the socket's end of input. END follows the queued bytes.
    func finish() {
        lifecycle.finish()
    }

    /// Records that the socket was reset. RESET follows the queued bytes unless the caller sends it earlier.
    func reset(_ code: ResetCode) {
        lifecycle.reset(code)
    }

    /// Discards the queued bytes for which the peer has granted no credit.
    func dropWithoutCredit() {
        queue.keep(first: credit.available)
    }

    /// Removes and returns the next frame: at most `limit` bytes of DATA, or the END or RESET behind the last byte.
    ///
    /// - Returns: nil if nothing may be sent. After a RESET the caller removes the stream.
    func take(atMost limit: Int, showsOffset: Bool = false) -> OutboundFrame? {
        switch lifecycle.next(queued: queued, credit: credit.available) {
        case nil:
            return nil
        case .reset(let code):
            return code.frame(id, after: credit.sent)
        case .end:
            lifecycle.endSent()
            return OutboundFrame(.end, id, number: credit.sent)
        case .data:
            guard let chunk = queue.popFirst(atMost: min(limit, credit.available)) else { return nil }
            let offset = credit.sent
            credit.use(chunk.readableBytes)
            return OutboundFrame(data: chunk, of: id, at: offset, showsOffset: showsOffset)
        }
    }

    /// Applies a CREDIT frame.
    ///
    /// - Returns: whether the offset grants more than the last one.
    /// - Throws: ``MuxError`` if the offset is impossible.
    func grant(_ offset: UInt64) throws(MuxError) -> Bool {
        try credit.grant(offset)
    }

    /// Ends both directions and discards the queue; nothing more is sent.
    func abandon() {
        lifecycle.abandon()
        queue.removeAll()
    }

    /// Records the peer's END.
    func endInput() {
        lifecycle.endReceived()
    }
}
