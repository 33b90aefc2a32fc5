/// Bytes that arrive before earlier ones, because they took another lane (protocol page, section 4).
extension Session {
    /// Processes DATA that does not simply follow what has arrived.
    mutating func receiveData(
        _ stream: Stream,
        _ frame: InboundFrame,
        at offset: UInt64,
        now: Instant
    ) throws(MuxError) {
        try stream.receiving.expect(frame.payloadLength, at: offset)
        if let ending = stream.ending, offset + UInt64(frame.payloadLength) > ending.offset {
            throw MuxError(.malformedPayload, "data of stream \(stream.id) beyond its end at \(ending.offset)")
        }
        // The socket is gone, and END or RESET no longer wait for these bytes.
        guard stream.pendingReset == nil else { return }
        var position = offset
        let before = stream.held.cost
        for piece in frame.pieces {
            let end = position + UInt64(piece.readableBytes)
            if end > stream.receiving.received { stream.held.insert(piece, at: position) }
            position = end
        }
        bufferedBytes += stream.held.cost - before
        guard !stream.held.isOverfull else { return abort(stream, .busy) }
        try deliverHeld(stream)
        keepWithinBudget()
    }

    /// Delivers what follows without a gap, and the end if everything before it has arrived.
    private mutating func deliverHeld(_ stream: Stream) throws(MuxError) {
        let before = stream.held.cost
        var count = 0
        while let piece = stream.held.next(at: stream.receiving.received) {
            try stream.receiving.receive(piece.readableBytes)
            count += piece.readableBytes
            actions.append(.deliver(stream.id, piece))
        }
        bufferedBytes += count + stream.held.cost - before
        guard let ending = stream.ending, ending.offset == stream.receiving.received else { return }
        stream.ending = nil
        switch ending {
        case .end: endInput(of: stream)
        case .reset(let code, _): resetByPeer(stream, code)
        }
    }

    /// Returns whether END or RESET must wait for bytes that take another lane.
    ///
    /// - Throws: ``MuxError`` if the offset cannot be right: bytes beyond it have arrived, or everything came over one lane.
    func waits(for offset: UInt64, of stream: Stream, _ type: FrameType) throws(MuxError) -> Bool {
        guard scheduler.showsOffsets else {
            try expect(offset, of: stream, type)
            return false
        }
        // Bytes for a socket that is gone are not counted.
        guard stream.pendingReset == nil else { return false }
        let highest = max(stream.receiving.received, stream.held.end ?? 0)
        guard offset >= highest, stream.ending.map({ $0.offset == offset }) ?? true else {
            throw MuxError(
                .malformedPayload,
                "\(type) of stream \(stream.id) after \(offset) bytes, of which \(highest) came"
            )
        }
        try stream.receiving.expect(0, at: offset)
        return offset > stream.receiving.received
    }
}
