import NIOCore

/// The streams of a session, by their numbers: whose a number is, which one is next, and how many streams are at the
/// beginning of their lives or behind the end of it.
///
/// Every operation on a single stream is O(1) in the number of streams, averaged over many.
struct StreamTable {
    private let role: Role
    private var streams: [StreamID: Stream] = [:]
    /// The number of the next stream that this end opens; nil once they are used up. Set from outside by tests
    /// alone.
    var next: StreamID?
    private var highestOfPeer = StreamID.session
    /// The places of all streams, and of those that wait for ACCEPT, as tunnels have them.
    private(set) var places: TunnelShares
    private(set) var openingPlaces: TunnelShares
    /// Streams that wait for ACCEPT.
    var opening: Int { openingPlaces.taken }
    /// Streams that have ended on the wire, and whose sockets still have bytes to take.
    private(set) var lingering = 0
    /// Streams of ours in the order of their deadlines for ACCEPT; those that have it are dropped when they come first.
    private var unaccepted = CircularBuffer<(id: StreamID, deadline: Instant)>()
    /// Streams whose RESET waits behind their bytes, in the order of their deadlines.
    private var resets = CircularBuffer<(id: StreamID, deadline: Instant)>()

    init(role: Role, limits: MuxLimits) {
        self.role = role
        places = TunnelShares(total: limits.streams)
        openingPlaces = TunnelShares(total: limits.opening)
        next = role.firstStream
    }

    var count: Int { streams.count }

    /// All of them, in no order.
    var all: some Collection<Stream> { streams.values }

    subscript(id: StreamID) -> Stream? { streams[id] }

    // MARK: Coming

    /// A stream that this end opens, with the number ``next``.
    mutating func open(_ stream: Stream, acceptBy deadline: Instant) {
        next = stream.id.next
        unaccepted.append((stream.id, deadline))
        enter(stream)
    }

    /// The peer opens a stream with this number, whether it is let in or not.
    ///
    /// - Throws: ``MuxError`` where the number is not above all before.
    mutating func announce(_ id: StreamID) throws(MuxError) {
        guard id > highestOfPeer else {
            throw MuxError(.streamNumber, "open of stream \(id) after \(highestOfPeer)")
        }
        highestOfPeer = id
    }

    /// A new stream begins.
    mutating func enter(_ stream: Stream) {
        streams[stream.id] = stream
        places.take(stream.tunnel)
        openingPlaces.take(stream.tunnel)
    }

    /// A tunnel has come, or has gone: places are divided anew.
    mutating func divide(with tunnel: UInt16, isThere: Bool) {
        if isThere {
            places.add(tunnel)
            openingPlaces.add(tunnel)
        } else {
            places.remove(tunnel)
            openingPlaces.remove(tunnel)
        }
    }

    /// A stream that waited for ACCEPT has it.
    mutating func accept(_ stream: Stream) {
        stream.accept()
        openingPlaces.giveBack(stream.tunnel)
        while let first = unaccepted.first, !(streams[first.id]?.isOpening ?? false) { unaccepted.removeFirst() }
    }

    /// When the first stream that waits for ACCEPT is given up, or earlier.
    var acceptDeadline: Instant? { unaccepted.first?.deadline }

    /// The next stream that has waited too long for ACCEPT; nil where there is none.
    mutating func nextOverdue(now: Instant) -> Stream? {
        while let first = unaccepted.first, first.deadline <= now {
            unaccepted.removeFirst()
            if let stream = streams[first.id], stream.isOpening { return stream }
        }
        return nil
    }

    /// All that wait for ACCEPT may wait until then.
    mutating func postponeAccept(until deadline: Instant) {
        for index in unaccepted.indices { unaccepted[index].deadline = deadline }
    }

    // MARK: Reset, with bytes that wait

    /// A stream's RESET waits behind its bytes until `deadline` at the latest.
    mutating func delayReset(of stream: Stream, until deadline: Instant) {
        resets.append((stream.id, deadline))
    }

    /// When the first RESET that waits overtakes its stream's bytes, or earlier.
    var resetDeadline: Instant? { resets.first?.deadline }

    /// The next stream whose RESET has waited too long; nil if there is none.
    mutating func nextOverdueReset(now: Instant) -> Stream? {
        while let first = resets.first, first.deadline <= now {
            resets.removeFirst()
            if let stream = streams[first.id], stream.pendingReset != nil { return stream }
        }
        return nil
    }

    /// Drops the deadlines of streams that are gone, as far as they come first.
    private mutating func forgetResets() {
        while let first = resets.first, streams[first.id] == nil { resets.removeFirst() }
    }

    /// All RESETs that wait may wait until then.
    mutating func postponeResets(until deadline: Instant) {
        for index in resets.indices { resets[index].deadline = deadline }
    }

    // MARK: Being there

    /// The stream of a frame; nil where it has ended already, because frames cross on the wire. What comes then is
    /// neither answered nor counted: it leaves no trace, and whole windows may be on their way when a stream is reset.
    ///
    /// - Throws: ``MuxError`` where there never was one with this number.
    func find(_ id: StreamID, _ type: FrameType) throws(MuxError) -> Stream? {
        if let stream = streams[id] { return stream.isFinished ? nil : stream }
        let wasOpened = id.opener == role ? next.map { id < $0 } ?? true : id <= highestOfPeer
        guard wasOpened else { throw MuxError(.streamNumber, "\(type) frame on stream \(id), which was never opened") }
        return nil
    }

    // MARK: Going

    /// One of a stream's directions has ended on the wire, and perhaps that was the second one.
    mutating func ended(_ stream: Stream) {
        if stream.isFinished { lingering += 1 }
    }

    /// Forgets a stream.
    mutating func remove(_ stream: Stream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        if stream.isOpening { openingPlaces.giveBack(stream.tunnel) }
        if stream.isFinished { lingering -= 1 }
        places.giveBack(stream.tunnel)
        forgetResets()
    }

    /// Forgets all of them; numbers stay used.
    mutating func removeAll() {
        streams = [:]
        places.giveBackAll()
        openingPlaces.giveBackAll()
        lingering = 0
        unaccepted.removeAll()
        resets.removeAll()
    }
}
