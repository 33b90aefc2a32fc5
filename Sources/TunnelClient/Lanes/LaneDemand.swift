import Mux

/// Remembers how long ago a session had bulk traffic, and whether interactive traffic runs beside it. Pure.
struct LaneDemand: Sendable, Equatable {
    /// Time after the last traffic of a kind for which its lanes are kept.
    static let hold = Duration.seconds(60)
    /// Time without bulk traffic after which the next bulk traffic is another transfer.
    static let pause = Duration.seconds(10)
    /// Time in which a second coincidence makes a need of a chance.
    static let recurrence = Duration.seconds(10)
    /// Time between two coincidences that count as two.
    static let spacing = Duration.milliseconds(500)

    /// Whether bulk traffic ran at the last observation.
    private(set) var isBulk = false
    /// Whether interactive traffic has a lane of its own, if there are two.
    ///
    /// It begins with the second coincidence of the two kinds of traffic, and ends a minute after the last one.
    private(set) var reservesLane = false
    private var lastBulk: Instant?
    private var firstCoincidence: Instant?
    private var lastCoincidence: Instant?

    /// Takes one observation.
    mutating func observe(hasBulk: Bool, hasInteractive: Bool, now: Instant) {
        if hasBulk, hasInteractive { coincide(now: now) }
        isBulk = hasBulk
        if hasBulk { lastBulk = now }
        if !Self.isWithin(Self.hold, lastCoincidence, now) { reservesLane = false }
    }

    /// A burst of long frames is no bulk traffic, and one short frame no interactive traffic.
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

    /// Whether a lost lane of interactive traffic is of use now.
    func isCoinciding(now: Instant) -> Bool {
        isBulk && reservesLane && Self.isWithin(Self.recurrence, lastCoincidence, now)
    }

    private static func isWithin(_ span: Duration, _ past: Instant?, _ now: Instant) -> Bool {
        past.map { now.since($0) < span } ?? false
    }
}
