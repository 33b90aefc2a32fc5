/// How streams leave a session: in order, for what the peer has done, or because there is no room for them.
extension Session {
    /// Resets a stream at both ends at once: its peer broke its rules, or there is no room for it.
    mutating func abort(_ stream: Stream, _ code: ResetCode) {
        // The socket of a stream whose RESET waits is gone.
        let hasSocket = stream.pendingReset == nil
        resetAtOnce(stream, code)
        if hasSocket { actions.append(.abort(stream.id, code)) }
    }

    /// Forgets a stream and tells the peer, before anything that is queued. A peer that knows of the end is not told.
    mutating func resetAtOnce(_ stream: Stream, _ code: ResetCode) {
        let frame = stream.isFinished ? nil : (stream.pendingReset ?? code).frame(stream.id)
        remove(stream)
        if let frame { scheduler.enqueue(frame) }
    }

    /// The peer has reset a stream. What it sent before still goes to the socket; until the socket has taken it, the bytes
    /// count against the budget.
    mutating func resetByPeer(_ stream: Stream, _ code: ResetCode) {
        guard stream.pendingReset == nil else { return remove(stream) }
        actions.append(.reset(stream.id, code))
        // A stream that was not accepted has no socket yet: only so many are connected for the sake of their last bytes.
        let isKept = !stream.isOpening || stream.id.opener == role || streams.lingering < limits.opening
        guard stream.receiving.buffered > 0, isKept else { return remove(stream) }
        if stream.isOpening { streams.accept(stream) }
        queuedBytes -= stream.queued
        readGate.remove(stream)
        stream.abandon()
        recountStorage(stream)
        stream.endInput()
        streams.ended(stream)
    }

    /// Past the session's budget the stream that holds the most is reset: a reader that never reads pays for itself,
    /// and not whoever happens to come next. Looks at all streams, which is why only this rare case does.
    mutating func keepWithinBudget() {
        while bufferedBytes > limits.bufferedBytes,
            let greediest = streams.all.max(by: { $0.receiving.buffered < $1.receiving.buffered })
        {
            abort(greediest, .busy)
        }
    }

    /// The process has used up its memory: resets the streams that hold the most, until they have given `bytes` back or
    /// what is left is small change. Looks at all streams, since only this rare case does.
    public mutating func shed(_ bytes: Int) {
        var missing = bytes
        let byGreed = streams.all.map { (stream: $0, held: $0.receiving.buffered + $0.queued) }
            .filter { $0.held > MuxLimits.streamCost }.sorted { $0.held > $1.held }
        for (stream, held) in byGreed where missing > 0 {
            abort(stream, .busy)
            missing -= held + MuxLimits.streamCost
        }
    }

    /// Forgets a stream once both ENDs are on their way and its socket has taken everything: until then its bytes count
    /// against the budget.
    mutating func removeIfFinished(_ stream: Stream) {
        guard stream.isFinished, stream.receiving.buffered == 0, streams[stream.id] != nil else { return }
        remove(stream)
        actions.append(.closed(stream.id))
    }

    mutating func remove(_ stream: Stream) {
        streams.remove(stream)
        bufferedBytes -= stream.receiving.buffered
        queuedBytes -= stream.queued
        stream.abandon()
        recountStorage(stream)
        readGate.remove(stream)
    }

    /// What a stream has queued has changed.
    mutating func recountStorage(_ stream: Stream) {
        queuedStorage += stream.queuedStorage - stream.countedStorage
        stream.countedStorage = stream.queuedStorage
    }
}
