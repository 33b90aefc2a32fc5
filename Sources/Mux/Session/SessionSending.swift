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
        let ending = stream.ending
        dropHeld(stream)
        if case .reset? = ending { return remove(stream) }
        if case .end? = ending { stream.endInput() }
        readGate.remove(stream)
        stream.isBlocked = false
        stream.reset(code)
        streams.delayReset(of: stream, until: now + limits.resetPatience)
        scheduler.schedule(stream)
    }

    // MARK: From the queues to the carrier

    /// The part of the replay buffer that bulk leaves to other frames if there are several lanes: an eighth, and enough
    /// for one bulk frame that goes beyond the limit.
    private var bulkReserve: Int {
        let half = limits.replayBytes / 2
        return max(limits.replayBytes / 8, min(half, MuxLimits.maximumData + SendScheduler.reserve))
    }

    /// Whether a lane has, with its next frame, at most half of what bulk may use. Bulk on the other lanes then goes on if
    /// this one dies. A lane with little takes one frame in any case.
    private func hasShareLeft(_ index: Int) -> Bool {
        let share = (limits.replayBytes - bulkReserve) / 2
        let cost = lanes[index].replay.cost
        return cost + lanes[index].congestion.chunk <= share || cost < min(MuxLimits.sharedData, share)
    }

    /// The frames that may be sent over a lane, with the bytes that are in flight on all lanes.
    private mutating func room(_ index: Int, _ place: SendScheduler.Place, now: Instant) -> SendScheduler.Room {
        let kept = keptCost
        guard kept < limits.replayBytes else { return .none }
        // Bulk leaves room for control frames and short chunks on another lane.
        let takesBulk =
            lanes.count == 1
            || kept < limits.replayBytes - bulkReserve
                && (hasShareLeft(index) || isOnlyOneForBulk(now: now))
        return windowRoom(index, takesBulk: takesBulk, now: now)
    }

    /// The frames that a lane's congestion window permits.
    private mutating func windowRoom(_ index: Int, takesBulk: Bool, now: Instant) -> SendScheduler.Room {
        let inFlight = lanes[index].replay.bytes
        if takesBulk {
            let window = lanes[index].congestion.window
            if inFlight < window || inFlight < lanes[index].congestion.limit(now: now) {
                let congestion = lanes[index].congestion
                return .chunks(shared: congestion.sharedChunk, alone: congestion.chunk, quantum: congestion.quantum)
            }
        }
        // The last frame may have gone beyond the window.
        let reserve = lanes[index].congestion.chunk + SendScheduler.reserve
        return inFlight < lanes[index].congestion.limit(now: now) + reserve ? .interactive : .control
    }

    /// Records that a lane's carrier takes no more frames, although some may wait.
    public mutating func carrierIsFull(_ lane: LaneID = .first, now: Instant) {
        guard !scheduler.isEmpty, let index = index(of: lane) else { return }
        if scheduler.waits(for: place(index, now: now)) { lanes[index].congestion.isBlocked() }
    }

    /// Whether a short chunk waits for the quick lane, perhaps since another lane was asked for frames.
    public var hasInteractiveWaiting: Bool { mutating get { scheduler.hasInteractive } }

    /// Whether frames wait for the window or for the carrier of a lane.
    public mutating func isLimited(_ lane: LaneID = .first) -> Bool {
        index(of: lane).map { lanes[$0].congestion.isBusy } ?? false
    }

    /// Records that the kernel has sent segments of a lane's carrier again, so acknowledgements wait for them.
    public mutating func carrierLoses(_ lane: LaneID = .first, now: Instant) {
        if let index = index(of: lane) { lanes[index].congestion.isLosing(now: now) }
    }

    /// Returns what this end knows of a lane's path.
    public mutating func pathFigures(of lane: LaneID = .first, now: Instant) -> PathFigures {
        guard let index = index(of: lane) else { return PathFigures() }
        return PathFigures(
            rate: lanes[index].congestion.rate,
            product: lanes[index].congestion.product,
            isShared: index == quickIndex && hasInteractive(within: CongestionWindow.interactiveSpan, now: now)
        )
    }

    /// The next frame for the carrier of a lane; call it only while the carrier has room, because what was handed out
    /// counts as sent.
    public mutating func nextFrame(on lane: LaneID = .first, now: Instant) -> OutboundFrame? {
        guard !isEnded, let index = index(of: lane), lanes[index].isAttached else { return nil }
        if let count = lanes[index].acknowledger.take(now: now) {
            lanes[index].urgent.append(OutboundFrame(.ack, number: count))
        }
        if let frame = lanes[index].urgent.popFirst() { return frame }
        let place = place(index, now: now)
        if place.hasInteractive, datagramsInARow < MuxLimits.datagramsInARow, let frame = nextDatagram(now: now) {
            datagramsInARow += frame.length
            return frame
        }
        datagramsInARow = 0
        let sample = lanes[index].congestion.sample(now: now)
        if let frame = lanes[index].replay.nextToRepeat(sample) {
            if lanes[index].unacknowledgedSince == nil { lanes[index].unacknowledgedSince = now }
            return frame
        }
        let room = room(index, place, now: now)
        if !moved.isEmpty, let frame = nextMoved(index, room, place, now: now) {
            return record((frame, nil, false), index, now: now)
        }
        guard let turn = scheduler.next(room, place) else {
            // Nothing else may leave, so no stream waits for its turn.
            if place.hasInteractive, let frame = nextDatagram(now: now) { return frame }
            guard !scheduler.waits(for: place) else {
                lanes[index].congestion.isLimiting(now: now)
                return nil
            }
            lanes[index].congestion.isIdle()
            if scheduler.isEmpty { while let next = readGate.next(isIdle: true) { unblock(next) } }
            return nil
        }
        let frame = record(turn, index, now: now)
        if turn.stream == nil, frame.header.type != .credit { noteControl(over: index) }
        return frame
    }

    /// The next frame of a lost lane that this one may take. Control frames go first, also those of the lost lane.
    ///
    /// - Parameter room: which new frames may be sent. They wait while the budget for kept frames is used up. Frames of the
    ///   lost lane count against it already. If they waited for it too, it would never become free.
    private mutating func nextMoved(
        _ index: Int,
        _ room: SendScheduler.Room,
        _ place: SendScheduler.Place,
        now: Instant
    ) -> OutboundFrame? {
        if case .none = room {} else if scheduler.hasControl(for: place) { return nil }
        switch windowRoom(index, takesBulk: true, now: now) {
        case .none, .control: return nil
        case .interactive: return place.hasInteractive ? moved.nextShort() : nil
        case .chunks:
            if place.hasInteractive, let frame = moved.nextShort() { return frame }
            return place.hasBulk ? moved.nextLong() : nil
        }
    }

    /// Counts a frame that leaves over a lane for the first time.
    private mutating func record(_ turn: SendScheduler.Turn, _ index: Int, now: Instant) -> OutboundFrame {
        let frame = turn.frame
        if frame.header.type.isCounted {
            if lanes[index].replay.count == 0 {
                lanes[index].congestion.restart(now: now)
                lanes[index].progressAt = now
                lanes[index].replay.append(frame, lanes[index].congestion.sample(now: now))
                expectProgress(index, now: now)
            } else {
                lanes[index].replay.append(frame, lanes[index].congestion.sample(now: now))
            }
            lanes[index].moved += UInt64(frame.length)
            if lanes[index].unacknowledgedSince == nil { lanes[index].unacknowledgedSince = now }
            if frame.header.stream != .session { lanes[index].sentByStreams = lanes[index].replay.sent }
        }
        if frame.header.type == .open || frame.header.type == .accept, let stream = streams[frame.header.stream] {
            stream.announced = lanes[index].id
            lanes[index].announcements.append((lanes[index].replay.sent, stream))
            scheduler.unpark()
            announced(stream)
        }
        guard let stream = turn.stream else { return frame }
        switch frame.header.type {
        case .data:
            if frame.payload.readableBytes >= MuxLimits.sharedData { lanes[index].bulkAt = now }
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
        return frame
    }

    private mutating func noteActivity(of stream: Stream, _ bytes: Int, isShort: Bool, now: Instant) {
        if bytes >= MuxLimits.sharedData { bulkBytes &+= UInt64(bytes) }
        let isRest = isShort && stream.hasSentLong
        stream.hasSentLong = bytes > SendScheduler.interactiveBytes
        guard isShort && !isRest || bytes == MuxLimits.maximumData else { return }
        // A short chunk that came before on the stream asked for these bytes.
        if !isShort { arriving.sendsLong(stream.id) }
        // All lanes leave room for interactive bytes, since they may share a path.
        for index in lanes.indices {
            if isShort {
                lanes[index].congestion.interactive.sendsShort(stream.id, now: now)
            } else {
                lanes[index].congestion.interactive.sendsLong(stream.id)
            }
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
