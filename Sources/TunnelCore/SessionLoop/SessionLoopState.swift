import Mux
import NIOCore

/// What the role sees of a session.
extension SessionLoop {
    /// Streams that live.
    package var streamCount: Int { session.streamCount }

    /// Whether there are no streams, and the peer has everything of those there were.
    package var isDelivered: Bool { session.isDelivered }

    /// The last measured time from a PING to its PONG.
    package var roundTrip: Duration? { session.roundTrip }

    /// Bytes that wait for the carrier, and bytes that wait for sockets.
    package var waitingBytes: (toSend: Int, toDeliver: Int) { session.waitingBytes }

    /// Whether there is a carrier.
    package var hasCarrier: Bool { !carriers.isEmpty }

    /// The carriers of all lanes.
    package var carrierCount: Int { carriers.count }

    /// The age of the first carrier; nil without one.
    package var carrierAge: Duration? { carriers.first.map { Instant.now.since($0.since) } }

    /// Time since bytes of the peer have come; nil without a carrier.
    package var silence: Duration? {
        carriers.map { Instant.now.since(max($0.link.lastBytes.came, $0.since)) }.min()
    }

    /// How long the session waits for another carrier.
    package var grace: Duration { session.grace }

    /// Counted frames that have come over a lane.
    package func received(on lane: LaneID) -> UInt64 { session.received(on: lane) }

    /// The lane to resume first when no lane has a carrier.
    package var firstLane: LaneID { session.firstLane }

    /// Whether a lane is in use.
    package func hasLane(_ lane: LaneID) -> Bool { session.hasLane(lane) }

    /// The lanes in use.
    package var laneCount: Int { session.laneIDs.count }

    /// Server: whether the client may open a lane of this number.
    package func isUnusedLane(_ lane: LaneID) -> Bool { session.isUnusedLane(lane) }

    /// The epoch of a lane's last carrier; nil for a lane that is not in use.
    package func epoch(of lane: LaneID) -> UInt64? { session.epoch(of: lane) }

    /// Client: the number for a further lane; nil if there can be none.
    package func requestLane() -> LaneID? { session.requestLane() }

    /// The time between two PINGs.
    package var pingInterval: Duration { session.pingInterval }

    /// Whether the session is over.
    package var isEnded: Bool { session.isEnded }

    /// How long a socket may take for the bytes before a reset.
    package var resetTimeout: TimeAmount { TimeAmount(session.resetPatience) }

    /// What the client has over all its sessions; nil at a client.
    package var share: ClientShare? {
        get { account.share }
        set { account.share = newValue }
    }

    /// Whether another visitor of a tunnel may have a stream.
    package func room(at tunnel: UInt16) -> Session.Room { session.room(at: tunnel) }

    /// Asks the peer for a sign of life.
    ///
    /// - Returns: false if none comes within `timeout`.
    package func probe(timeout: TimeAmount) -> EventLoopFuture<Bool> {
        guard !session.isEnded, hasCarrier else { return eventLoop.makeSucceededFuture(false) }
        // Many may ask at the same time: the last answer stands for all of them.
        guard !session.hasJustAnswered(now: .now) else { return eventLoop.makeSucceededFuture(true) }
        let answer = probes.wait(timeout, on: eventLoop)
        run(.probe(timeout: nil))
        return answer
    }
}
