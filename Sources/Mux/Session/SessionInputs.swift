import NIOCore

/// What a session's owner tells it: of public ports, of visitors and of the streams' sockets.
extension Session {
    // MARK: Ports

    /// Client: asks for a public port. Ignored while the tunnel has one, or waits for the answer.
    public mutating func bind(_ request: BindRequest) {
        guard !isEnded, tunnels.ask(request.tunnel) else { return }
        scheduler.enqueue(request.frame)
    }

    /// Server: the port is bound. Ignored where the client does not wait for it.
    public mutating func bound(_ binding: Binding) {
        guard !isEnded, tunnels.bind(binding.tunnel) else { return }
        scheduler.enqueue(binding.frame)
    }

    /// Server: the port could not be bound, or is given up. Ignored where the client has not asked for it.
    public mutating func unbound(_ tunnel: UInt16, _ refusal: Refusal) {
        guard !isEnded, tunnels.remove(tunnel) else { return }
        streams.divide(with: tunnel, isThere: false)
        scheduler.enqueue(refusal.frame(.unbound, tunnel: tunnel))
    }

    // MARK: Streams

    /// Opens a stream for a visitor. Bytes may follow at once.
    ///
    /// - Returns: nil unless ``room(at:)`` says that there is room.
    public mutating func open(_ visit: OpenRequest, now: Instant) -> StreamID? {
        guard room(at: visit.tunnel) == .free, let id = streams.next else { return nil }
        streams.open(newStream(id, visit, now: now), acceptBy: now + limits.openTimeout)
        scheduler.enqueue(visit.frame(id))
        if isNearExhaustion, !saidNearExhaustion {
            saidNearExhaustion = true
            actions.append(.numbersRunOut)
        }
        return id
    }

    /// With what both ends grant it at first.
    func newStream(_ id: StreamID, _ visit: OpenRequest, now: Instant) -> Stream {
        Stream(id: id, tunnel: visit.tunnel, sendWindow: peerWindow, receiveWindow: limits.initialWindow, now: now)
    }

    /// The service has been reached.
    public mutating func accept(_ id: StreamID, now: Instant) {
        guard let stream = streams[id], stream.isOpening, id.opener == role.peer else { return }
        streams.accept(stream)
        scheduler.enqueue(OutboundFrame(.accept, id))
    }

    /// Queues bytes from the stream's socket. `.blocked` follows if the socket is not to be read before `.sendable`.
    public mutating func write(_ id: StreamID, _ bytes: ByteBuffer) {
        guard let stream = streams[id], stream.isOpen else { return }
        guard queuedBytes + bytes.readableBytes <= limits.queuedBytes else { return abort(stream, .busy) }
        queuedBytes -= stream.queued
        stream.append(bytes)
        queuedBytes += stream.queued
        recountStorage(stream)
        scheduler.schedule(stream)
        readGate.brought(bytes.readableBytes, by: stream)
        // While much waits in all, one read of each socket is enough.
        let isShort = queuedBytes > limits.queuedBytes / 2 || pressure >= .shrinksWindows
        let most = isShort ? 1 : limits.queuedPerStream
        guard stream.queued >= most || stream.credit.available < stream.queued else { return }
        stream.isBlocked = true
        actions.append(.blocked(id))
    }

    /// The stream's socket has no more bytes (FIN): END follows what is queued.
    public mutating func finish(_ id: StreamID) {
        guard let stream = streams[id], stream.pendingReset == nil else { return }
        stream.finish()
        scheduler.schedule(stream)
        if readGate.remove(stream) { unblock(stream) }
    }

    /// The stream's socket was reset or cannot be reached. RESET follows what is queued, so that the other end gets the
    /// bytes that came before it. It overtakes them after ``MuxLimits/resetPatience``. If the peer has left more than a
    /// window without credit, what has no credit is dropped at once.
    public mutating func reset(_ id: StreamID, _ code: ResetCode, now: Instant) {
        guard let stream = streams[id], stream.pendingReset == nil else { return }
        // The peer knows the end already; only its bytes were left to be taken.
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

    /// The stream's socket has taken `count` of the delivered bytes: only now may credit go back.
    ///
    /// - Returns: whether something is to be sent or done for it.
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
        let isShort = bufferedBytes > limits.bufferedBytes / 2 || pressure >= .shrinksWindows
        let most = isShort ? limits.initialWindow : limits.maximumWindow
        if let offset = stream.receiving.nextGrant(now: now, roundTrip: roundTrip, most: most) {
            scheduler.enqueue(OutboundFrame(.credit, id, number: offset))
            return true
        }
        return false
    }
}
