/// What a session hands to its carrier, and which sockets may be read on for it.
extension Session {
    /// What may be sent, where so much is under way.
    private var room: SendScheduler.Room {
        mutating get {
            if replay.isFull { return .none }
            if replay.bytes < flight.window {
                return .pieces(shared: flight.sharedPiece, alone: flight.piece, turn: flight.turn)
            }
            // The last piece may have gone beyond the window.
            return replay.bytes < flight.window + flight.piece + SendScheduler.reserve ? .little : .control
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
        if let frame = replay.nextToRepeat(flight.stamp(now: now)) {
            if unacknowledgedSince == nil { unacknowledgedSince = now }
            return frame
        }
        guard let (frame, stream, isLittle) = scheduler.next(room) else {
            if scheduler.isEmpty {
                flight.rests()
                readAhead.runsDry()
                while let next = readAhead.next(isUnbounded: true) { unblock(next) }
            } else {
                flight.holds()
            }
            return nil
        }
        if frame.header.type.isCounted {
            if replay.count == 0 { flight.begins(now: now) }
            replay.append(frame, flight.stamp(now: now))
            if let stream, frame.header.type == .data {
                if isLittle {
                    flight.company.sendsLittle(stream.id, now: now)
                } else if frame.payload.readableBytes == MuxLimits.maximumData {
                    flight.company.sendsMuch(stream.id)
                }
            }
        }
        if unacknowledgedSince == nil, replay.count > 0 { unacknowledgedSince = now }
        if let stream {
            let taken = frame.header.type == .data ? frame.payload.readableBytes : 0
            queuedBytes -= taken
            recountStorage(stream)
            readAhead.leaves(taken, of: stream)
            if frame.header.type == .end {
                streams.ended(stream)
                removeIfFinished(stream)
            } else if frame.header.type == .reset {
                remove(stream)
            } else if stream.isBlocked, stream.queued < limits.queuedPerStream {
                if stream.isOpen, flight.isNearby, stream.readAhead.bringsMuch {
                    readAhead.enqueue(stream)
                } else {
                    unblock(stream)
                }
            }
            while let next = readAhead.next(isUnbounded: !flight.isNearby) { unblock(next) }
        }
        return frame
    }

    /// A stream's socket may be read on.
    mutating func unblock(_ stream: Stream) {
        stream.isBlocked = false
        actions.append(.sendable(stream.id))
    }
}
