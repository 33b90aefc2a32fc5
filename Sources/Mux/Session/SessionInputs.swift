import NIOCore

/// Inputs from the session's owner about ports, visitors and the streams' sockets.
extension Session {
    // MARK: Ports

    /// Client: asks for a public port. Ignored if the tunnel has a port or waits for one.
    public mutating func bind(_ request: BindRequest) {
        guard !isEnded, tunnels.ask(request.tunnel) else { return }
        scheduler.enqueue(request.frame)
    }

    /// Server: reports a bound port. Ignored unless the client waits for it.
    public mutating func bound(_ binding: Binding) {
        guard !isEnded, tunnels.bind(binding.tunnel) else { return }
        scheduler.enqueue(binding.frame)
    }

    /// Server: reports a port that could not be bound or was given up. Ignored unless the client asked for it.
    public mutating func unbound(_ tunnel: UInt16, _ refusal: Refusal) {
        guard !isEnded, tunnels.remove(tunnel) else { return }
        streams.divide(with: tunnel, isAdded: false)
        scheduler.enqueue(refusal.frame(.unbound, tunnel: tunnel))
    }

    // MARK: Streams

    /// Opens a stream for a visitor. Bytes may be written to it at once.
    ///
    /// - Returns: nil unless ``room(at:)`` is `.free`.
    public mutating func open(_ request: OpenRequest, now: Instant) -> StreamID? {
        guard room(at: request.tunnel) == .free, let id = streams.next else { return nil }
        streams.open(newStream(id, request, now: now), acceptBy: now + limits.openTimeout)
        scheduler.enqueue(request.frame(id))
        if isNearExhaustion, !didReportExhaustion {
            didReportExhaustion = true
            actions.append(.numbersRunOut)
        }
        return id
    }

    /// Creates a stream with the initial windows of both ends.
    func newStream(_ id: StreamID, _ request: OpenRequest, now: Instant) -> Stream {
        Stream(id: id, tunnel: request.tunnel, sendWindow: peerWindow, receiveWindow: limits.initialWindow, now: now)
    }

    /// Client: reports that the service was reached.
    public mutating func accept(_ id: StreamID, now: Instant) {
        guard let stream = streams[id], stream.isOpening, id.opener == role.peer else { return }
        streams.accept(stream)
        scheduler.enqueue(OutboundFrame(.accept, id))
    }

    /// Queues bytes from the stream's socket. `.blocked` follows if the socket must pause until `.sendable`.
    public mutating func write(_ id: StreamID, _ bytes: ByteBuffer) {
        guard let stream = streams[id], stream.isOpen else { return }
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
        guard let stream = streams[id], stream.pendingReset == nil else { return }
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

    /// Reports that the stream's socket has accepted `count` delivered bytes. Credit is granted only then.
    ///
    /// - Returns: whether a frame or an action follows.
    @discardableResult
    public mutating func consumed(_ id: StreamID, _ count: Int, now: Instant) -> Bool {
        guard let stream = streams[id], stream.pendingReset == nil else { return false }
        let before = stream.receiving.buffered
        stream.receiving.consume(count)
        bufferedBytes -= before - stream.receiving.buffered
        guard !stream.inputEnded else {
            removeIfFinished(stream)
            return true
        }
        let isMemoryShort = bufferedBytes > limits.bufferedBytes / 2 || pressure >= .shrinksWindows
        let limit = isMemoryShort ? limits.initialWindow : limits.maximumWindow
        if let offset = stream.receiving.nextGrant(now: now, roundTrip: roundTrip, limit: limit) {
            scheduler.enqueue(OutboundFrame(.credit, id, number: offset))
            return true
        }
        return false
    }
}
