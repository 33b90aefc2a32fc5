import Mux
import NIOCore

/// The bounds of one stream's socket.
package struct StreamPolicy {
    /// How long it may be silent in both directions; nil for no limit.
    package var idleTimeout: TimeAmount?
    /// The rates that it shares with other sockets: its tunnel's and its client's.
    package var rateLimits: [RateLimit] = []

    package init(idleTimeout: TimeAmount? = nil, rateLimits: [RateLimit] = []) {
        self.idleTimeout = idleTimeout
        self.rateLimits = rateLimits
    }

    /// No bounds.
    package static var unbounded: StreamPolicy { StreamPolicy() }

    /// Counts bytes that were read from the socket, and returns how long it should rest.
    package func rest(afterReading count: Int) -> TimeAmount? { rest { $0.read(count) } }

    /// Counts bytes that the socket took, and returns how long the credit for them should wait.
    package func rest(afterWriting count: Int) -> TimeAmount? { rest { $0.written(count) } }

    /// Whether a datagram that was read from the socket is within all rates, which count it then. Others are dropped.
    package func admitsRead(_ count: Int) -> Bool {
        guard rateLimits.allSatisfy({ $0.canRead }) else { return false }
        for limit in rateLimits { _ = limit.read(count) }
        return true
    }

    /// Whether a datagram for the socket is within all rates, which count it then.
    package func admitsWrite(_ count: Int) -> Bool {
        guard rateLimits.allSatisfy({ $0.canWrite }) else { return false }
        for limit in rateLimits { _ = limit.written(count) }
        return true
    }

    private func rest(_ take: (RateLimit) -> Double) -> TimeAmount? {
        guard !rateLimits.isEmpty else { return nil }
        let seconds = rateLimits.reduce(0) { max($0, take($1)) }
        return seconds > 0 ? .nanoseconds(Int64(min(seconds, 3_600) * 1e9)) : nil
    }
}

/// Bytes a second in each direction, shared by the sockets of one event loop.
package final class RateLimit {
    /// Bytes that may pass at once, in seconds of the rate.
    package static let burst = 0.25
    /// Bytes that may pass at once at least: one full frame.
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

    /// A limit with another rate. An existing limit changes for the sockets that share it. A new one holds for new sockets.
    package static func updated(_ limit: RateLimit?, bytesPerSecond: Int?) -> RateLimit? {
        guard let bytesPerSecond else { return nil }
        guard let limit else { return RateLimit(bytesPerSecond: bytesPerSecond, now: .now) }
        guard limit.bytesPerSecond != bytesPerSecond else { return limit }
        let fresh = RateLimit(bytesPerSecond: bytesPerSecond, now: .now)
        (limit.reading, limit.writing, limit.bytesPerSecond) = (fresh.reading, fresh.writing, bytesPerSecond)
        return limit
    }

    fileprivate func read(_ count: Int) -> Double { reading.overdraw(count, now: .now) }

    fileprivate func written(_ count: Int) -> Double { writing.overdraw(count, now: .now) }

    fileprivate var canRead: Bool { reading.hasRoom(now: .now) }

    fileprivate var canWrite: Bool { writing.hasRoom(now: .now) }
}
