import Mux
import NIOCore

/// What one stream's socket is held to.
struct StreamPolicy {
    /// How long it may be silent, both ways; nil for ever.
    var idleTimeout: TimeAmount?
    /// The rates that it shares with others: its tunnel's, its client's.
    var paces: [Pace] = []

    /// No bounds.
    static var unbounded: StreamPolicy { StreamPolicy() }

    /// Counts bytes that were read from the socket, and says how long it should rest.
    func rest(afterReading count: Int) -> TimeAmount? { rest { $0.read(count) } }

    /// Counts bytes that the socket took, and says how long the credit for them should wait.
    func rest(afterWriting count: Int) -> TimeAmount? { rest { $0.written(count) } }

    private func rest(_ take: (Pace) -> Double) -> TimeAmount? {
        guard !paces.isEmpty else { return nil }
        let seconds = paces.reduce(0) { max($0, take($1)) }
        return seconds > 0 ? .nanoseconds(Int64(min(seconds, 3_600) * 1e9)) : nil
    }
}

/// Bytes a second in each direction, shared by the sockets of one event loop.
final class Pace {
    /// How much may pass at once, in seconds of the rate.
    static let burst = 0.25
    /// At least one full frame passes at once.
    static let smallestBurst = 65_536.0

    private var bytesPerSecond: Int
    private var reading: TokenBucket
    private var writing: TokenBucket

    init(bytesPerSecond: Int, now: Moment) {
        self.bytesPerSecond = bytesPerSecond
        let rate = Double(bytesPerSecond)
        reading = TokenBucket(perSecond: rate, burst: max(Self.smallestBurst, rate * Self.burst), now: now)
        writing = reading
    }

    /// A pace for another rate. One that is there changes for the sockets that share it; a new one holds for those that
    /// come.
    static func updated(_ pace: Pace?, bytesPerSecond: Int?) -> Pace? {
        guard let bytesPerSecond else { return nil }
        guard let pace else { return Pace(bytesPerSecond: bytesPerSecond, now: .now) }
        guard pace.bytesPerSecond != bytesPerSecond else { return pace }
        let fresh = Pace(bytesPerSecond: bytesPerSecond, now: .now)
        (pace.reading, pace.writing, pace.bytesPerSecond) = (fresh.reading, fresh.writing, bytesPerSecond)
        return pace
    }

    fileprivate func read(_ count: Int) -> Double { reading.overdraw(count, now: .now) }

    fileprivate func written(_ count: Int) -> Double { writing.overdraw(count, now: .now) }
}
