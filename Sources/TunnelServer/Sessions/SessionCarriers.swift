import Logging
import Mux
import NIOCore
import TunnelCore

/// The carriers of one session's lanes: loss, resume, limit, and the ticket for the next connection.
final class SessionCarriers {
    private let sessionLoop: SessionLoop
    private let tickets: TicketIssuer
    private let clock: ServerClock
    private let logger: Logger
    private let metrics: TunnelMetrics
    private var handle: ServerSessionHandle?
    private var lostAt: Instant?
    /// Where the present carrier of the first lane, or the last one, comes from.
    private(set) var origin: CarrierOrigin = ""
    /// The origin of each lane's present carrier.
    private(set) var origins: [LaneID: CarrierOrigin] = [:]
    /// The last loss of a carrier, and its time in seconds since 1970.
    private(set) var lastLoss: (reason: String, at: Int64)?
    /// Carriers that the session has had, with the present ones.
    private(set) var count = 1
    /// How often the first lane has got another carrier.
    private(set) var resumes = 0
    /// Lanes that the session may have at a time.
    private let mostLanes: Int

    init(
        _ sessionLoop: SessionLoop,
        mostLanes: Int,
        metrics: TunnelMetrics,
        tickets: TicketIssuer,
        clock: ServerClock,
        logger: Logger
    ) {
        self.sessionLoop = sessionLoop
        self.mostLanes = mostLanes
        self.metrics = metrics
        self.tickets = tickets
        self.clock = clock
        self.logger = logger
    }

    /// Begins with the first carrier.
    func start(_ handle: ServerSessionHandle, from origin: CarrierOrigin) {
        self.handle = handle
        self.origin = origin
        origins[.first] = origin
    }

    /// Ends with the session.
    func end() {
        handle = nil
    }

    /// The carrier is lost, and the session waits for another one.
    func noteLoss(_ carrier: LostCarrier) {
        let now = clock.now()
        lostAt = now
        lastLoss = (carrier.reason, clock.unixSeconds())
        origins = [:]
        handle?.waitsUntil = now + sessionLoop.grace
        logger.notice(
            "carrier lost; the session waits for another one",
            metadata: [
                "reason": "\(carrier.reason)", "from": "\(origin)", "after": .time(carrier.age),
                "waits": .time(sessionLoop.grace), "streams": .number(sessionLoop.streamCount),
            ]
        )
    }

    /// Records that a lane's carrier is lost. The session continues over others.
    func noteLoss(_ carrier: LostCarrier, of lane: LaneID) {
        lastLoss = (carrier.reason, clock.unixSeconds())
        forget(lane)
        logger.info(
            "carrier lost; the session goes on over others",
            metadata: [
                "reason": "\(carrier.reason)", "lane": "\(lane)", "after": .time(carrier.age),
                "lanes": .number(sessionLoop.laneCount),
            ]
        )
    }

    /// Records that the client has left a lane.
    func noteLeft(_ lane: LaneID) {
        forget(lane)
        logger.debug("lane left", metadata: ["lane": "\(lane)", "lanes": .number(sessionLoop.laneCount)])
    }

    /// Forgets the origin of a lane's carrier. The session's origin is then that of the first lane with a carrier.
    private func forget(_ lane: LaneID) {
        origins[lane] = nil
        if let first = origins.min(by: { $0.key < $1.key }) { origin = first.value }
    }

    /// Gives the session another carrier, whose client has proved that it holds the session's keys, or refuses it.
    func take(_ carrier: any CarrierLink, from origin: CarrierOrigin, _ proof: ServerHandshake.Resumed) {
        guard let refusal = resume(carrier, from: origin, proof) else { return }
        carrier.send(proof.refuse(refusal))
        carrier.close(.policyViolation, reason: refusal.code.description)
    }

    /// - Returns: the refusal, or nil.
    func resume(
        _ carrier: any CarrierLink,
        from origin: CarrierOrigin,
        _ proof: ServerHandshake.Resumed
    ) -> Refusal? {
        let resumption = proof.resumption
        guard !sessionLoop.isEnded else { return Refusal(.replaced, "the session has just ended") }
        let lane = resumption.lane
        if let refusal = refusal(of: resumption) { return refusal }
        let isFurther = !sessionLoop.hasLane(lane)
        // A session without any carrier may come back on a lane that is the first one at the client only.
        let isFirst = lane == sessionLoop.firstLane || lostAt != nil
        if isFirst { self.origin = origin }
        origins[lane] = origin
        count += 1
        guard let first = proof.resumed(received: sessionLoop.received(on: lane), ticket: nextTicket()) else {
            return Refusal(.unknownSession, "the request was answered before")
        }
        sessionLoop.run(
            .attach(carrier, lane: lane, epoch: resumption.epoch, peerReceived: resumption.received, first: first)
        )
        guard !sessionLoop.isEnded else { return nil }
        guard !isFurther || lostAt != nil else {
            metrics.addedCarriers.increment()
            logger.info(
                "carrier added",
                metadata: ["from": "\(origin)", "lane": "\(lane)", "lanes": .number(sessionLoop.laneCount)]
            )
            return nil
        }
        guard isFirst else {
            logger.debug("carrier of a further lane replaced", metadata: ["from": "\(origin)", "lane": "\(lane)"])
            return nil
        }
        resumes += 1
        metrics.resumes.increment()
        handle?.waitsUntil = nil
        let pause = lostAt.map { clock.now().since($0) } ?? .zero
        lostAt = nil
        logger.notice(
            "session resumed",
            metadata: ["from": "\(origin)", "carriers": .number(count), "without_carrier": .time(pause)]
        )
        return nil
    }

    /// Why a lane does not get a carrier; nil if it does.
    private func refusal(of resumption: Resumption) -> Refusal? {
        if let epoch = sessionLoop.epoch(of: resumption.lane) {
            // Only a carrier with a higher epoch replaces another one.
            return resumption.epoch > epoch ? nil : Refusal(.replaced, "a newer carrier has been here")
        }
        guard sessionLoop.isUnusedLane(resumption.lane), resumption.received == 0 else {
            return Refusal(.replaced, "the lane is gone")
        }
        guard sessionLoop.laneCount < mostLanes else {
            return Refusal(.limit, "the server allows \(mostLanes) carriers for a session")
        }
        return nil
    }

    /// Time since the carrier was lost; nil with one.
    var withoutCarrier: Duration? { lostAt.map { clock.now().since($0) } }

    private func nextTicket() -> [UInt8] {
        guard let owner = handle?.owner else { return [] }
        return tickets.issue(to: owner.client + owner.instance, now: clock.unixSeconds())
    }
}
