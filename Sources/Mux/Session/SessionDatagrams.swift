import NIOCore

/// Datagrams, which are neither counted nor sent again.
extension Session {
    /// Queues a datagram of the flow's socket. It is dropped while there is no carrier, and the oldest ones are dropped
    /// that exceed a bound.
    public mutating func send(_ id: StreamID, _ datagram: ByteBuffer, now: Instant) {
        guard let stream = streams[id], stream.kind.isFlow, stream.isOpen,
            datagram.readableBytes <= MuxLimits.maximumDatagram
        else { return }
        guard isAttached else { return datagramDrops.carrier += 1 }
        waitingDatagrams -= stream.datagrams.bytes
        stream.datagrams.append(datagram, now: now, &datagramDrops)
        // The flow itself gives way, so that no flow takes the place of another.
        while waitingDatagrams + stream.datagrams.bytes > MuxLimits.waitingDatagrams, stream.datagrams.dropFirst() {
            datagramDrops.session += 1
        }
        waitingDatagrams += stream.datagrams.bytes
        schedule(flow: stream)
    }

    /// A flow's OPEN or ACCEPT has left, so that its datagrams may follow.
    mutating func announced(_ stream: Stream) {
        schedule(flow: stream)
    }

    private mutating func schedule(flow stream: Stream) {
        guard stream.announced != nil, !stream.isFlowWaiting, !stream.datagrams.isEmpty else { return }
        stream.isFlowWaiting = true
        waitingFlows.append(stream)
    }

    /// The next datagram: one of each flow in turn.
    mutating func nextDatagram(now: Instant) -> OutboundFrame? {
        while let stream = waitingFlows.popFirst() {
            stream.isFlowWaiting = false
            let before = stream.datagrams.bytes
            let datagram = stream.datagrams.popFirst(now: now, &datagramDrops)
            waitingDatagrams -= before - stream.datagrams.bytes
            guard stream.isOpen, let datagram else { continue }
            schedule(flow: stream)
            return OutboundFrame(.datagram, stream.id, datagram)
        }
        return nil
    }

    /// Drops the datagrams of a flow that has ended.
    mutating func dropDatagrams(of stream: Stream) {
        waitingDatagrams -= stream.datagrams.bytes
        _ = stream.datagrams.removeAll()
    }

    /// Drops all waiting datagrams, since the carrier is lost.
    mutating func dropDatagrams() {
        while let stream = waitingFlows.popFirst() {
            stream.isFlowWaiting = false
            waitingDatagrams -= stream.datagrams.bytes
            datagramDrops.carrier += stream.datagrams.removeAll()
        }
    }

    mutating func receiveDatagram(_ id: StreamID, _ frame: InboundFrame) throws(MuxError) {
        // It may overtake an OPEN or ACCEPT that is sent again on a new carrier.
        guard streams.wasAnnounced(id) else { return }
        guard let stream = try streams.find(id, .datagram), stream.pendingReset == nil else { return }
        guard stream.kind.isFlow else { throw MuxError(.unexpectedFrame, "datagram on stream \(id) of bytes") }
        guard !stream.isOpening || id.opener != role else { return }
        actions.append(.datagram(id, frame.payload))
    }
}
