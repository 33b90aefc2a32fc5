import Mux

/// A rate with room for a burst: a bucket that fills at the rate. One take may overdraw it.
package struct TokenBucket: Sendable {
    private let perSecond: Double
    private let capacity: Double
    private var level: Double
    private var last: Instant

    /// A full bucket.
    package init(perSecond: Double, burst: Double, now: Instant) {
        self.perSecond = max(perSecond, .leastNormalMagnitude)
        capacity = max(burst, 1)
        level = capacity
        last = now
    }

    /// Takes one if at least `kept` are left afterwards.
    package mutating func takeOne(leaving kept: Double = 0, now: Instant) -> Bool {
        fill(now)
        guard level >= 1 + kept else { return false }
        level -= 1
        return true
    }

    /// Takes `count` in any case, and returns for how many seconds nothing more should be taken.
    package mutating func overdraw(_ count: Int, now: Instant) -> Double {
        fill(now)
        level -= Double(count)
        return level < 0 ? -level / perSecond : 0
    }

    /// Whether the bucket is overdrawn by less than a burst. Others that overdraw it, and then rest, leave this room to those
    /// that cannot rest.
    package mutating func hasRoom(now: Instant) -> Bool {
        fill(now)
        return level > -capacity
    }

    /// Whether the bucket is full.
    package mutating func isFull(now: Instant) -> Bool {
        fill(now)
        return level >= capacity
    }

    private mutating func fill(_ now: Instant) {
        let (seconds, attoseconds) = now.since(last).components
        level = min(capacity, level + perSecond * (Double(seconds) + Double(attoseconds) / 1e18))
        last = now
    }
}
