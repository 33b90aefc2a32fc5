import NIOCore

/// The way out: from a stream's socket into its queue, and from the queues to the carrier.
extension Session {
    // MARK: From a socket into its queue

    /// Queues bytes from the stream's socket. `.blocked` follows if the socket must pause until `.sendable`.
    public mutating func write(_ id: StreamID, _ bytes: ByteBuffer) {
        guard let stream = streams[id], stream.isOpen, !stream.kind.isFlow else { return }
        guard queuedBytes + bytes.readableBytes <= limits.queuedBytes else { return abort(stream, .busy) }
        queuedBytes -= stream.queued
        stream.append(bytes)
        queuedBytes += stream.queued
        recountStorage(stream)
        scheduler.schedule(stream)
        readGate.brought(bytes.readableBytes, by: stream)
        // While the queues of all streams are long, one read of each socket is enough.
        let isMemoryShort = queuedBytes > limits.queuedBytes / 2 || pressure >= .shrinksWindows
        let limit = isMemoryShort ? 1 : limits.queuedPerStream
        guard stream.queued >= limit || stream.credit.available < stream.queued else { return }
        stream.isBlocked = true
        actions.append(.blocked(id))
    }

    /// Reports the end of the socket's input (FIN). END follows the queued bytes.
    public mutating func finish(_ id: StreamID) {
        guard let stream = streams[id], stream.pendingReset == nil, !stream.kind.isFlow else { return }
        stream.finish()
        scheduler.schedule(stream)
        if readGate.remove(stream) { unblock(stream) }
    }

    /// Reports that the stream's socket was reset or cannot be reached. RESET follows the queued bytes, so the other
    /// end receives them first. After ``MuxLimits/resetPatience`` RESET overtakes them. If more than the peer's initial
    /// window lacks credit, the bytes without credit are discarded at once.
    public mutating func reset(_ id: StreamID, _ code: ResetCode, now: Instant) {
        guard let stream = streams[id], stream.pendingReset == nil else { return }
        // The peer already knows of the end; only its bytes were left to deliver.
        guard !stream.isFinished else { return remove(stream) }
        if stream.queued - stream.credit.available > Int(peerWindow) {
            queuedBytes -= stream.queued
            stream.dropWithoutCredit()
            queuedBytes += stream.queued
            recountStorage(stream)
        }
        guard stream.queued > 0 else { return resetAtOnce(stream, code) }
        bufferedBytes -= stream.receiving.buffered
        stream.receiving.consume(stream.receiving.buffered)
        readGate.remove(stream)
        stream.isBlocked = false
        stream.reset(code)
        streams.delayReset(of: stream, until: now + limits.resetPatience)
        scheduler.schedule(stream)
    }

    // MARK: From the queues to the carrier

    /// What may be sent, with so much in flight.
    private var room: SendScheduler.Room {
        mutating get {
            if replay.isFull { return .none }
            if replay.bytes < congestion.window {
                return .chunks(shared: congestion.sharedChunk, alone: congestion.chunk, quantum: congestion.quantum)
            }
            // The last frame may have gone beyond the window.
            let reserve = congestion.chunk + SendScheduler.reserve
            return replay.bytes < congestion.window + reserve ? .interactive : .control
        }
    }

    /// The next frame for the carrier; call it only while the carrier has room, because what was handed out counts as
    /// sent.
    public mutating func nextFrame(now: Instant) -> OutboundFrame? {
        guard !isEnded, isAttached else { return nil }
        if let count = acknowledger.take(now: now) {
            scheduler.enqueueUrgent(OutboundFrame(.ack, number: count))
        }
        if let frame = scheduler.nextUrgent() { return frame }
        if datagramsInARow < MuxLimits.datagramsInARow, let frame = nextDatagram(now: now) {
            datagramsInARow += frame.length
            return frame
        }
        datagramsInARow = 0
        if let frame = replay.nextToRepeat(congestion.sample(now: now)) {
            if unacknowledgedSince == nil { unacknowledgedSince = now }
            return frame
        }
        guard let turn = scheduler.next(room) else {
            // Nothing else may leave, so no stream waits for its turn.
            if let frame = nextDatagram(now: now) { return frame }
            guard scheduler.isEmpty else {
                congestion.isLimiting()
                return nil
            }
            congestion.isIdle()
            while let next = readGate.next(isIdle: true) { unblock(next) }
            return nil
        }
        record(turn, now: now)
        return turn.frame
    }

    /// Counts a frame that leaves for the first time.
    private mutating func record(_ turn: SendScheduler.Turn, now: Instant) {
        let frame = turn.frame
        if frame.header.type.isCounted {
            if replay.count == 0 { congestion.restart(now: now) }
            replay.append(frame, congestion.sample(now: now))
            if frame.header.stream != .session { sentByStreams = replay.sent }
        }
        if unacknowledgedSince == nil, replay.count > 0 { unacknowledgedSince = now }
        if frame.header.type == .open || frame.header.type == .accept, let flow = streams[frame.header.stream] {
            announced(flow)
        }
        guard let stream = turn.stream else { return }
        switch frame.header.type {
        case .data:
            noteActivity(of: stream, frame.payload.readableBytes, isShort: turn.isShort, now: now)
            queuedBytes -= frame.payload.readableBytes
            recountStorage(stream)
            readGate.update(stream)
            resumeIfPossible(stream)
        case .end:
            streams.ended(stream)
            removeIfFinished(stream)
        case .reset:
            remove(stream)
        default:
            break
        }
        if let next = readGate.next(isIdle: false) { unblock(next) }
    }

    private mutating func noteActivity(of stream: Stream, _ bytes: Int, isShort: Bool, now: Instant) {
        if isShort {
            congestion.interactive.sendsShort(stream.id, now: now)
        } else if bytes == MuxLimits.maximumData {
            congestion.interactive.sendsLong(stream.id)
        }
    }

    /// Resumes a paused socket once its stream's queue has room.
    private mutating func resumeIfPossible(_ stream: Stream) {
        guard stream.isBlocked, stream.queued < limits.queuedPerStream else { return }
        if !stream.isOpen || readGate.resumes(stream) { unblock(stream) }
    }

    /// A stream's socket may be read on.
    mutating func unblock(_ stream: Stream) {
        stream.isBlocked = false
        actions.append(.sendable(stream.id))
    }
}
