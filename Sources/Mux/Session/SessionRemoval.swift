/// Removal of streams: in order, after a breach, or for want of memory.
extension Session {
    /// Resets a stream at both ends at once, because the peer broke its rules or memory is short.
    mutating func abort(_ stream: Stream, _ code: ResetCode) {
        // A stream with a pending RESET no longer has a socket.
        let hasSocket = stream.pendingReset == nil
        resetAtOnce(stream, code)
        if hasSocket { actions.append(.abort(stream.id, code)) }
    }

    /// Removes a stream and sends RESET before its queued bytes, unless the peer already knows of the end.
    mutating func resetAtOnce(_ stream: Stream, _ code: ResetCode) {
        let frame = stream.isFinished ? nil : (stream.pendingReset ?? code).frame(stream.id, after: stream.credit.sent)
        remove(stream)
        if let frame { scheduler.enqueue(frame) }
    }

    /// Applies the peer's RESET. Bytes that arrived earlier still go to the socket, and count against the budget until
    /// it has accepted them.
    mutating func resetByPeer(_ stream: Stream, _ code: ResetCode) {
        guard stream.pendingReset == nil else { return remove(stream) }
        actions.append(.reset(stream.id, code))
        // A stream that was not accepted has no socket yet. The limit bounds connections made only for last bytes.
        let isKept = !stream.isOpening || stream.id.opener == role || streams.lingering < limits.opening
        dropHeld(stream)
        guard stream.receiving.buffered > 0, isKept else { return remove(stream) }
        if stream.isOpening { streams.accept(stream) }
        queuedBytes -= stream.queued
        readGate.remove(stream)
        stream.abandon()
        recountStorage(stream)
        stream.endInput()
        streams.ended(stream)
    }

    /// Resets the streams that hold the most while the session exceeds its budget for received bytes. A reader that
    /// never reads is reset, not the next stream that receives. This scan of all streams happens only then.
    mutating func keepWithinBudget() {
        while bufferedBytes > limits.bufferedBytes,
            let largest = streams.all.max(by: { $0.bufferedCost < $1.bufferedCost })
        {
            abort(largest, .busy)
        }
    }

    /// Resets the streams that hold the most because the process is out of memory. Stops after freeing `bytes`, or when
    /// no stream holds more than its fixed cost. Scans all streams.
    public mutating func shed(_ bytes: Int) {
        var missing = bytes
        let bySize = streams.all.map { (stream: $0, held: $0.bufferedCost + $0.queued) }
            .filter { $0.held > MuxLimits.streamCost }.sorted { $0.held > $1.held }
        for (stream, held) in bySize where missing > 0 {
            abort(stream, .busy)
            missing -= held + MuxLimits.streamCost
        }
    }

    /// Removes a stream once both ENDs are sent or received and its socket has accepted everything. Until then its
    /// bytes count against the budget.
    mutating func removeIfFinished(_ stream: Stream) {
        guard stream.isFinished, stream.receiving.buffered == 0, streams[stream.id] != nil else { return }
        remove(stream)
        actions.append(.closed(stream.id))
    }

    mutating func remove(_ stream: Stream) {
        streams.remove(stream)
        dropDatagrams(of: stream)
        bufferedBytes -= stream.bufferedCost
        queuedBytes -= stream.queued
        stream.abandon()
        recountStorage(stream)
        readGate.remove(stream)
    }

    /// Drops bytes that wait for earlier ones.
    mutating func dropHeld(_ stream: Stream) {
        bufferedBytes -= stream.held.cost
        stream.held.removeAll()
        stream.ending = nil
    }

    /// Updates the session's count after a stream's queue has changed.
    mutating func recountStorage(_ stream: Stream) {
        queuedStorage += stream.queuedStorage - stream.countedStorage
        stream.countedStorage = stream.queuedStorage
    }
}
