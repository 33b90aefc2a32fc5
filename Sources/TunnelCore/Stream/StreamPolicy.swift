import Mux
import NIOCore

/// What one stream's socket is held to.
package struct StreamPolicy {
    /// How long it may be silent, both ways; nil for ever.
    package var idleTimeout: TimeAmount?
    /// The rates that it shares with others: its tunnel's, its client's.
    package var paces: [RateLimit] = []

    package init(idleTimeout: TimeAmount? = nil, paces: [RateLimit] = []) {
        self.idleTimeout = idleTimeout
        self.paces = paces
    }

    /// No bounds.
    package static var unbounded: StreamPolicy { StreamPolicy() }

    /// Counts bytes that were read from the socket, and says how long it should rest.
    package func rest(afterReading count: Int) -> TimeAmount? { rest { $0.read(count) } }

    /// Counts bytes that the socket took, and says how long the credit for them should wait.
    package func rest(afterWriting count: Int) -> TimeAmount? { rest { $0.written(count) } }

    private func rest(_ take: (RateLimit) -> Double) -> TimeAmount? {
        guard !paces.isEmpty else { return nil }
        let seconds = paces.reduce(0) { max($0, take($1)) }
        return seconds > 0 ? .nanoseconds(Int64(min(seconds, 3_600) * 1e9)) : nil
    }
}

/// Bytes a second in each direction, shared by the sockets of one event loop.
package final class RateLimit {
    /// How much may pass at once, in seconds of the rate.
    package static let burst = 0.25
    /// At least one full frame passes at once.
    package static let smallestBurst = 65_536.0

    private var bytesPerSecond: Int
    private var reading: TokenBucket
    private var writing: TokenBucket

    package init(bytesPerSecond: Int, now: Instant) {
        self.bytesPerSecond = bytesPerSecond
        let rate = Double(bytesPerSecond)
        reading = TokenBucket(perSecond: rate, burst: max(Self.smallestBurst, rate * Self.burst), now: now)
        writing = reading
    }

    /// A pace for another rate. One that is there changes for the sockets that share it; a new one holds for those that
    /// come.
    package static func updated(_ pace: RateLimit?, bytesPerSecond: Int?) -> RateLimit? {
        guard let bytesPerSecond else { return nil }
        guard let pace else { return RateLimit(bytesPerSecond: bytesPerSecond, now: .now) }
        guard pace.bytesPerSecond != bytesPerSecond else { return pace }
        let fresh = RateLimit(bytesPerSecond: bytesPerSecond, now: .now)
        (pace.reading, pace.writing, pace.bytesPerSecond) = (fresh.reading, fresh.writing, bytesPerSecond)
        return pace
    }

    fileprivate func read(_ count: Int) -> Double { reading.overdraw(count, now: .now) }

    fileprivate func written(_ count: Int) -> Double { writing.overdraw(count, now: .now) }
}
