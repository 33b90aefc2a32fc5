import NIOCore

/// The streams of a session by number, with the next number, the streams that wait for ACCEPT, and those that linger
/// after their end.
///
/// Each end bounds the streams that the other one opens, and knows the bounds of the other for its own. So the streams of
/// one end take no place from those of the other.
///
/// Every operation on one stream is O(1) amortised in the number of streams.
struct StreamTable {
    private let role: Role
    private var streams: [StreamID: Stream] = [:]
    /// The number of the next stream that this end opens; nil once the numbers are used up. Only tests set it from
    /// outside.
    var next: StreamID?
    private var highestOfPeer = StreamID.session
    /// Places for this end's streams, and for those of them that wait for ACCEPT, shared among the tunnels.
    private(set) var places: TunnelShares
    private(set) var openingPlaces: TunnelShares
    /// The peer's streams: all but those that linger, and those that wait for ACCEPT.
    private(set) var ofPeer = (live: 0, opening: 0)
    /// This end's streams that wait for ACCEPT.
    var opening: Int { openingPlaces.taken }
    /// Streams that have ended on the wire while their sockets still have bytes to accept.
    private(set) var lingering = 0
    /// Streams that this end opened, in the order of their ACCEPT deadlines. An accepted stream leaves when it becomes
    /// the first.
    private var unaccepted = CircularBuffer<(id: StreamID, deadline: Instant)>()
    /// Streams whose RESET waits behind their bytes, in the order of their deadlines.
    private var resets = CircularBuffer<(id: StreamID, deadline: Instant)>()

    /// - Parameters:
    ///   - streams: streams that this end may open at a time.
    ///   - opening: streams among them that may wait for ACCEPT.
    init(role: Role, streams: Int, opening: Int) {
        self.role = role
        places = TunnelShares(total: streams)
        openingPlaces = TunnelShares(total: opening)
        next = role.firstStream
    }

    var count: Int { streams.count }

    /// All streams, in no particular order.
    var all: some Collection<Stream> { streams.values }

    subscript(id: StreamID) -> Stream? { streams[id] }

    // MARK: Opening

    /// Adds a stream that this end opens, with the number ``next``.
    mutating func open(_ stream: Stream, acceptBy deadline: Instant) {
        next = stream.id.next
        unaccepted.append((stream.id, deadline))
        enter(stream)
    }

    /// Records the number of an OPEN from the peer, whether or not the stream is admitted.
    ///
    /// - Throws: ``MuxError`` unless the number is higher than all before.
    mutating func announce(_ id: StreamID) throws(MuxError) {
        guard id > highestOfPeer else {
            throw MuxError(.streamNumber, "open of stream \(id) after \(highestOfPeer)")
        }
        highestOfPeer = id
    }

    /// Adds a new stream.
    mutating func enter(_ stream: Stream) {
        streams[stream.id] = stream
        if stream.id.opener == role {
            places.take(stream.tunnel)
            openingPlaces.take(stream.tunnel)
        } else {
            ofPeer.live += 1
            ofPeer.opening += 1
        }
    }

    private mutating func leaveOpening(_ stream: Stream) {
        if stream.id.opener == role { openingPlaces.giveBack(stream.tunnel) } else { ofPeer.opening -= 1 }
    }

    /// Divides the places anew after a tunnel was added or removed.
    mutating func divide(with tunnel: UInt16, isAdded: Bool) {
        if isAdded {
            places.add(tunnel)
            openingPlaces.add(tunnel)
        } else {
            places.remove(tunnel)
            openingPlaces.remove(tunnel)
        }
    }

    /// Records the ACCEPT of a stream that waited for it.
    mutating func accept(_ stream: Stream) {
        stream.accept()
        leaveOpening(stream)
        while let first = unaccepted.first, !(streams[first.id]?.isOpening ?? false) { unaccepted.removeFirst() }
    }

    /// A time at or before the first ACCEPT deadline; nil if no stream waits.
    var acceptDeadline: Instant? { unaccepted.first?.deadline }

    /// Removes and returns the next stream whose ACCEPT is overdue; nil if there is none.
    mutating func nextOverdue(now: Instant) -> Stream? {
        while let first = unaccepted.first, first.deadline <= now {
            unaccepted.removeFirst()
            if let stream = streams[first.id], stream.isOpening { return stream }
        }
        return nil
    }

    /// Moves all ACCEPT deadlines to `deadline`.
    mutating func postponeAccept(until deadline: Instant) {
        for index in unaccepted.indices { unaccepted[index].deadline = deadline }
    }

    // MARK: Delayed RESET

    /// Lets a stream's RESET wait behind its bytes until `deadline`.
    mutating func delayReset(of stream: Stream, until deadline: Instant) {
        resets.append((stream.id, deadline))
    }

    /// A time at or before the first deadline of a delayed RESET; nil if none waits.
    var resetDeadline: Instant? { resets.first?.deadline }

    /// Removes and returns the next stream whose RESET is overdue; nil if there is none.
    mutating func nextOverdueReset(now: Instant) -> Stream? {
        while let first = resets.first, first.deadline <= now {
            resets.removeFirst()
            if let stream = streams[first.id], stream.pendingReset != nil { return stream }
        }
        return nil
    }

    /// Drops the leading deadlines whose streams are gone.
    private mutating func forgetResets() {
        while let first = resets.first, streams[first.id] == nil { resets.removeFirst() }
    }

    /// Moves all deadlines of delayed RESETs to `deadline`.
    mutating func postponeResets(until deadline: Instant) {
        for index in resets.indices { resets[index].deadline = deadline }
    }

    // MARK: Lookup

    /// Returns the stream that a frame names; nil if that stream has already ended.
    ///
    /// Frames cross on the wire, and whole windows may be in flight when a stream is reset. Such frames are neither
    /// answered nor counted, since they cost nothing.
    ///
    /// - Throws: ``MuxError`` if no stream ever had this number.
    func find(_ id: StreamID, _ type: FrameType) throws(MuxError) -> Stream? {
        if let stream = streams[id] { return stream.isFinished ? nil : stream }
        guard wasAnnounced(id) else {
            throw MuxError(.streamNumber, "\(type) frame on stream \(id), which was never opened")
        }
        return nil
    }

    /// Whether this end has opened the stream, or the peer has announced its number.
    func wasAnnounced(_ id: StreamID) -> Bool {
        id.opener == role ? next.map { id < $0 } ?? true : id <= highestOfPeer
    }

    // MARK: Removal

    /// Counts a stream as lingering if both its directions have ended on the wire.
    mutating func ended(_ stream: Stream) {
        guard stream.isFinished else { return }
        lingering += 1
        if stream.id.opener != role { ofPeer.live -= 1 }
    }

    /// Removes a stream.
    mutating func remove(_ stream: Stream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        if stream.isOpening { leaveOpening(stream) }
        if stream.id.opener == role {
            places.giveBack(stream.tunnel)
        } else if !stream.isFinished {
            ofPeer.live -= 1
        }
        if stream.isFinished { lingering -= 1 }
        forgetResets()
    }

    /// Removes all streams; their numbers stay used.
    mutating func removeAll() {
        streams = [:]
        places.giveBackAll()
        openingPlaces.giveBackAll()
        ofPeer = (0, 0)
        lingering = 0
        unaccepted.removeAll()
        resets.removeAll()
    }
}
