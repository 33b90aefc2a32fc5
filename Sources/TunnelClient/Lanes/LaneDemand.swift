import Mux

/// Remembers how long ago a session had bulk traffic, and whether interactive traffic runs beside it. Pure.
struct LaneDemand: Sendable, Equatable {
    /// Time after the last traffic of a kind for which its lanes are kept.
    static let hold = Duration.seconds(60)
    /// Time without bulk traffic after which the next bulk traffic is another transfer.
    static let pause = Duration.seconds(10)
    /// Time within which a second overlap of bulk and interactive traffic counts as a pattern. A session with several lanes
    /// keeps its quick lane free of bulk for the same time after interactive traffic.
    static let recurrence = Duration.seconds(10)
    /// Least time from the first overlap to the one that reserves a lane.
    static let spacing = Duration.milliseconds(500)

    /// Whether bulk traffic ran at the last observation.
    private(set) var isBulk = false
    /// Whether interactive traffic has a lane of its own, if there are two.
    ///
    /// It becomes true at the second overlap, when bulk traffic begins shortly after interactive traffic, or when a trial
    /// runs beside interactive traffic. It becomes false one minute after the last overlap.
    private(set) var reservesLane = false
    /// Whether there was interactive traffic a short time ago, with or without bulk traffic.
    private(set) var isNearInteractive = false
    /// Whether bulk traffic began with the last observation, shortly after interactive traffic.
    private var beganNear = false
    /// When the present transfer began, or the last one.
    private var began: Instant?
    private var lastBulk: Instant?
    private var lastInteractive: Instant?
    private var firstCoincidence: Instant?
    private var lastCoincidence: Instant?

    /// Takes one observation.
    mutating func observe(hasBulk: Bool, hasInteractive: Bool, now: Instant) {
        if hasBulk, hasInteractive { coincide(now: now) }
        if hasInteractive { lastInteractive = now }
        isNearInteractive = Self.isWithin(Self.recurrence, lastInteractive, now)
        if hasBulk, isBulk, beganNear { reserve(now: now) }
        beganNear = hasBulk && !isBulk && isNearInteractive
        isBulk = hasBulk
        if hasBulk {
            if isPaused(now: now) { began = now }
            lastBulk = now
        }
        if !Self.isWithin(Self.hold, lastCoincidence, now) { reservesLane = false }
    }

    /// Reserves a lane for interactive traffic at once, since that traffic would change what a trial measures.
    mutating func reserve(now: Instant) {
        reservesLane = true
        lastCoincidence = now
    }

    /// Records that both kinds of traffic run. One burst of long frames is not bulk traffic, and one short frame is not
    /// interactive traffic.
    private mutating func coincide(now: Instant) {
        if let first = firstCoincidence, Self.isWithin(Self.recurrence, lastCoincidence, now) {
            if isBulk, now.since(first) >= Self.spacing { reservesLane = true }
        } else {
            firstCoincidence = now
        }
        lastCoincidence = now
    }

    /// Whether lanes for bulk traffic are kept.
    func isHeld(now: Instant) -> Bool { Self.isWithin(Self.hold, lastBulk, now) }

    /// Whether the last transfer is over.
    func isPaused(now: Instant) -> Bool { !Self.isWithin(Self.pause, lastBulk, now) }

    /// Whether the present transfer, or the last one, has lasted `span`.
    func hasLasted(_ span: Duration, now: Instant) -> Bool { began.map { now.since($0) >= span } ?? false }

    /// Whether a lost lane of interactive traffic is of use now.
    func isCoinciding(now: Instant) -> Bool {
        isBulk && reservesLane && Self.isWithin(Self.recurrence, lastCoincidence, now)
    }

    private static func isWithin(_ span: Duration, _ past: Instant?, _ now: Instant) -> Bool {
        past.map { now.since($0) < span } ?? false
    }
}
