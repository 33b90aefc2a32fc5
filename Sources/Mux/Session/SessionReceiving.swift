/// The way in: from the peer's frames to the streams' sockets, and the credit that goes back.
extension Session {
    /// Processes the peer's next frame.
    ///
    /// - Throws: ``MuxError`` if the peer broke the protocol. The caller sends the frame of ``end(_:streamsReset:)``
    ///   and closes.
    public mutating func receive(_ frame: InboundFrame, on lane: LaneID = .first, now: Instant) throws(MuxError) {
        guard !isEnded, let index = index(of: lane), lanes[index].isAttached else { return }
        guard waitingControl <= limits.waitingControl else {
            throw MuxError(.flood, "\(waitingControl) answers wait for a peer that does not read")
        }
        if frame.header.type.isCounted {
            let length = MuxLimits.headerLength + frame.payloadLength
            lanes[index].acknowledger.receive(length, now: now)
            lanes[index].moved += UInt64(length)
        }
        let id = frame.header.stream
        switch frame.header.type {
        case .data:
            if frame.payloadLength >= MuxLimits.sharedData { lanes[index].bulkAt = now }
            try receiveData(id, frame, now: now)
        case .end: try receiveEnd(id, after: frame.number, now: now)
        case .datagram: try receiveDatagram(id, frame)
        case .credit: try receiveCredit(id, frame.number, now: now)
        case .open: try receiveOpen(id, frame, now: now)
        case .accept: try receiveAccept(id)
        case .reset: try receiveReset(id, ResetCode.read(frame.payload))
        case .bind: try receiveBind(BindRequest(frame.payload), now: now)
        case .bound: try receiveBound(Binding(frame.payload))
        case .unbound: try receiveUnbound(Refusal.tunnel(frame.payload), Refusal(frame.payload, of: .unbound))
        case .unbind: try receiveUnbind(Unbinding(frame.payload), now: now)
        case .state: try receiveState(TunnelState(frame.payload), now: now)
        case .ping:
            guard lanes[index].pings.record(now: now) else { throw MuxError(.flood, "pings") }
            lanes[index].urgent.append(OutboundFrame(.pong, number: frame.number))
        case .pong:
            guard lanes[index].keepAlive.pong(frame.number, now: now) else {
                return try rateLimits.countAnomaly("a pong that answers nothing", now: now)
            }
            if let roundTrip = lanes[index].keepAlive.roundTrip {
                lanes[index].congestion.answered(within: roundTrip, now: now)
            }
            progressed(index, now: now)
            actions.append(.answered)
        case .ack:
            if let (bytes, last) = try lanes[index].replay.acknowledge(frame.number) {
                lanes[index].congestion.acknowledged(bytes, last, now: now)
                if lanes[index].noteAnnouncements() { scheduler.unpark() }
                lanes[index].keepAlive.progressed(now: now)
                lanes[index].unacknowledgedSince = lanes[index].replay.count > 0 ? now : nil
                progressed(index, now: now)
            } else {
                try rateLimits.countAnomaly("an acknowledgement of nothing new", now: now)
            }
        case .retire: try receiveRetire(Retirement(frame.payload, of: .retire), over: index, now: now)
        case .retired: try receiveRetired(Retirement(frame.payload, of: .retired))
        case .lost: try receiveLost(LaneLoss(frame.payload))
        case .goAway:
            let reason = try Refusal(frame.payload, of: .goAway)
            if !peerIsGoingAway { actions.append(.goingAway(reason)) }
            peerIsGoingAway = true
        case .renew:
            guard role == .client else { throw MuxError(.unexpectedFrame, "renew from a client") }
            try rateLimits.countRenewal(now: now)
            actions.append(.renew(within: try Renewal(frame.payload).within))
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused:
            throw MuxError(.unexpectedFrame, "\(frame.header.type) frame after the handshake")
        }
    }

    private mutating func receiveData(_ id: StreamID, _ frame: InboundFrame, now: Instant) throws(MuxError) {
        guard let stream = try streams.find(id, .data) else { return }
        try expectBytes(stream, .data)
        try expectAccepted(stream, .data)
        // END may have overtaken bytes for a socket that is gone.
        if stream.inputEnded, stream.pendingReset != nil { return }
        guard !stream.inputEnded else { return abort(stream, .protocolViolation) }
        guard frame.payloadLength > 0 else { return try rateLimits.countAnomaly("empty data", now: now) }
        noteArrival(of: stream, frame.payloadLength, now: now)
        let offset = frame.offset ?? stream.receiving.received
        if offset != stream.receiving.received || !stream.held.isEmpty || stream.ending != nil {
            return try receiveData(stream, frame, at: offset, now: now)
        }
        try stream.receiving.receive(frame.payloadLength)
        guard stream.pendingReset == nil else {
            // The socket is gone; the peer sent these bytes before it could know.
            stream.receiving.consume(frame.payloadLength)
            return
        }
        bufferedBytes += frame.payloadLength
        keepWithinBudget()
        guard streams[id] != nil else { return }
        for chunk in frame.pieces {
            actions.append(.deliver(id, chunk))
        }
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
        let wide = min(Int(ReceiveCredit.farWindow), limits.maximumWindow)
        let hasRoom = streams.count * wide <= limits.bufferedBytes / 2
        if let offset = stream.receiving.nextGrant(now: now, roundTrip: roundTrip, limit: limit, hasRoom: hasRoom) {
            scheduler.enqueueCredit(OutboundFrame(.credit, id, number: offset), of: stream)
            return true
        }
        return false
    }

    private mutating func receiveEnd(_ id: StreamID, after offset: UInt64, now: Instant) throws(MuxError) {
        guard let stream = try streams.find(id, .end) else { return }
        try expectBytes(stream, .end)
        try expectAccepted(stream, .end)
        guard !stream.inputEnded else {
            if stream.pendingReset == nil { try expect(offset, of: stream, .end) }
            return try rateLimits.countAnomaly("a second end", now: now)
        }
        if try waits(for: offset, of: stream, .end) {
            // A RESET that has overtaken END stays.
            if stream.ending == nil { stream.ending = .end(after: offset) }
            return
        }
        endInput(of: stream)
    }

    /// All bytes before the peer's END have arrived.
    mutating func endInput(of stream: Stream) {
        stream.endInput()
        guard stream.pendingReset == nil else { return }
        actions.append(.end(stream.id))
        streams.ended(stream)
        removeIfFinished(stream)
    }

    /// Throws unless the peer has accepted the stream, as it must before it sends DATA or END.
    private func expectAccepted(_ stream: Stream, _ type: FrameType) throws(MuxError) {
        guard !stream.isOpening || stream.id.opener != role else {
            throw MuxError(.unexpectedFrame, "\(type) frame on stream \(stream.id) before its accept")
        }
    }

    /// Throws if the stream carries datagrams.
    private func expectBytes(_ stream: Stream, _ type: FrameType) throws(MuxError) {
        guard !stream.kind.isFlow else {
            throw MuxError(.unexpectedFrame, "\(type) on stream \(stream.id) of datagrams")
        }
    }

    /// Throws unless so many bytes of the stream's DATA have arrived.
    func expect(_ offset: UInt64, of stream: Stream, _ type: FrameType) throws(MuxError) {
        let received = stream.receiving.received
        guard offset == received else {
            throw MuxError(
                .malformedPayload,
                "\(type) of stream \(stream.id) after \(offset) bytes, of which \(received) came"
            )
        }
    }

    private mutating func receiveCredit(_ id: StreamID, _ offset: UInt64, now: Instant) throws(MuxError) {
        guard let stream = try streams.find(id, .credit) else { return }
        try expectBytes(stream, .credit)
        // A later one may have come first, over another lane.
        if scheduler.showsOffsets, offset < stream.credit.limit { return }
        guard try stream.grant(offset) else {
            return try rateLimits.countAnomaly("credit that grants nothing", now: now)
        }
        scheduler.schedule(stream)
        readGate.update(stream)
    }

    private mutating func receiveOpen(_ id: StreamID, _ frame: InboundFrame, now: Instant) throws(MuxError) {
        guard id.opener == role.peer else {
            throw MuxError(.streamNumber, "open of stream \(id) from a \(role.peer)")
        }
        let request = try OpenRequest(frame.payload, from: role.peer)
        try streams.announce(id)
        guard isActive else {
            scheduler.enqueue(ResetCode.goingAway.frame(id, after: 0))
            return
        }
        guard pressure < .refusesStreams else {
            // The peer cannot know of the shortage, so this is not an anomaly.
            scheduler.enqueue(ResetCode.busy.frame(id, after: 0))
            return
        }
        guard streams.ofPeer.live < limits.streams, streams.ofPeer.opening < limits.opening else {
            scheduler.enqueue(ResetCode.busy.frame(id, after: 0))
            return try rateLimits.countAnomaly("more streams than there is room for", now: now)
        }
        streams.enter(newStream(id, request, now: now))
        actions.append(.open(id, request))
    }

    private mutating func receiveAccept(_ id: StreamID) throws(MuxError) {
        guard id.opener == role else { throw MuxError(.unexpectedFrame, "accept of the peer's own stream \(id)") }
        guard let stream = try streams.find(id, .accept) else { return }
        guard stream.isOpening else { throw MuxError(.unexpectedFrame, "second accept of stream \(id)") }
        streams.accept(stream)
        stream.isKnown = true
        scheduler.unpark()
        if stream.pendingReset == nil { actions.append(.accepted(id)) }
    }

    private mutating func receiveReset(
        _ id: StreamID,
        _ reset: (code: ResetCode, offset: UInt64)
    ) throws(MuxError) {
        guard let stream = try streams.find(id, .reset) else { return }
        if try waits(for: reset.offset, of: stream, .reset) {
            return stream.ending = .reset(reset.code, after: reset.offset)
        }
        resetByPeer(stream, reset.code)
    }

    private mutating func receiveBind(_ request: BindRequest, now: Instant) throws(MuxError) {
        guard role == .server, !tunnels.contains(request.tunnel) else {
            throw MuxError(.unexpectedFrame, "bind of tunnel \(request.tunnel) from a \(role.peer)")
        }
        try rateLimits.countTunnelFrame("binds", now: now)
        guard tunnels.count < limits.tunnels, tunnels.ask(request.tunnel) else {
            let refusal = Refusal(.limit, "at most \(limits.tunnels) tunnels in one session")
            // Not an anomaly: the client may ask for more ports than this server allows, and its BINDs are counted.
            scheduler.enqueue(refusal.frame(.unbound, tunnel: request.tunnel))
            return
        }
        streams.divide(with: request.tunnel, isAdded: true)
        actions.append(.bind(request))
    }

    private mutating func receiveUnbind(_ unbinding: Unbinding, now: Instant) throws(MuxError) {
        guard role == .server else { throw MuxError(.unexpectedFrame, "unbind from a server") }
        // The port may have been refused or given up meanwhile: the frames cross.
        guard tunnels.contains(unbinding.tunnel) else {
            return try rateLimits.countAnomaly("unbind of a tunnel without a port", now: now)
        }
        actions.append(.unbind(tunnel: unbinding.tunnel))
    }

    private mutating func receiveState(_ state: TunnelState, now: Instant) throws(MuxError) {
        guard role == .server else { throw MuxError(.unexpectedFrame, "state from a server") }
        try rateLimits.countTunnelFrame("reports of services", now: now)
        guard tunnels.contains(state.tunnel) else {
            return try rateLimits.countAnomaly("state of a tunnel without a port", now: now)
        }
        actions.append(.state(state))
    }

    private mutating func receiveBound(_ binding: Binding) throws(MuxError) {
        guard role == .client, tunnels.contains(binding.tunnel) else {
            throw MuxError(.unexpectedFrame, "bound of tunnel \(binding.tunnel) from a \(role.peer)")
        }
        guard !tunnels.isLeaving(binding.tunnel) else { return }
        guard tunnels.bind(binding.tunnel) else {
            throw MuxError(.unexpectedFrame, "second bound of tunnel \(binding.tunnel)")
        }
        actions.append(.bound(binding))
    }

    private mutating func receiveUnbound(_ tunnel: UInt16, _ refusal: Refusal) throws(MuxError) {
        guard role == .client, tunnels.remove(tunnel) else {
            throw MuxError(.unexpectedFrame, "unbound of tunnel \(tunnel) from a \(role.peer)")
        }
        actions.append(.unbound(tunnel: tunnel, refusal))
    }
}
