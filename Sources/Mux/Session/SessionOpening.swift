/// The owner's inputs about ports and about streams that begin.
extension Session {
    // MARK: Ports

    /// Client: asks for a public port. Ignored if the tunnel has a port or waits for one.
    public mutating func bind(_ request: BindRequest) {
        guard !isEnded, tunnels.ask(request.tunnel) else { return }
        scheduler.enqueue(request.frame)
    }

    /// Client: gives the port of a tunnel back, or its request. UNBOUND answers; until then the tunnel keeps its number.
    public mutating func unbind(_ tunnel: UInt16) {
        guard !isEnded, role == .client, tunnels.leave(tunnel) else { return }
        scheduler.enqueue(Unbinding(tunnel: tunnel).frame)
    }

    /// Client: says whether the service of a tunnel answers. Ignored unless the tunnel is asked for.
    public mutating func report(_ state: TunnelState) {
        guard !isEnded, role == .client, tunnels.contains(state.tunnel), !tunnels.isLeaving(state.tunnel) else {
            return
        }
        scheduler.enqueue(state.frame)
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

    /// Opens a stream: for a visitor of a tunnel, or from the client to a destination. Bytes may be written to it at once.
    ///
    /// - Returns: nil unless ``room(at:)`` is `.free` and the request is one that this role may send.
    public mutating func open(_ request: OpenRequest, now: Instant) -> StreamID? {
        guard request.sender == role, room(at: request.tunnel) == .free, let id = streams.next else { return nil }
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
        Stream(
            id: id,
            kind: request.kind,
            tunnel: request.tunnel,
            sendWindow: peerWindow,
            receiveWindow: limits.initialWindow,
            now: now
        )
    }

    /// Reports that the service or the destination of the peer's stream was reached.
    public mutating func accept(_ id: StreamID, now: Instant) {
        guard let stream = streams[id], stream.isOpening, id.opener == role.peer else { return }
        streams.accept(stream)
        scheduler.enqueue(OutboundFrame(.accept, id))
    }
}
