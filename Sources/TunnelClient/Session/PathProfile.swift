import Mux

/// What a run has learnt about how long the path to the server lets a carrier live: proxies cut what is idle, and some
/// cut whatever is older than they like. Pure.
///
/// Each lesson takes two carriers that died alike, since one may die of anything. It is never forgotten in this run:
/// to ping too often costs a few bytes, and to be cut costs a pause.
struct PathProfile: Sendable, Equatable {
    /// What has just been learnt, for the log.
    enum Lesson: Sendable, Equatable {
        /// Carriers die when they are idle for so long.
        case idle(Duration)
        /// Carriers die at such an age.
        case age(Duration)
    }

    /// The shortest wait between two pings that is learnt.
    static let shortestPing = Duration.seconds(1)
    /// Shorter silences mean nothing: something was always under way.
    static let shortestIdle = Duration.seconds(1)
    /// Carriers that die younger are not renewed in time, but dialled anew.
    static let youngest = Duration.seconds(10)
    /// How much two deaths may differ and still be alike.
    static let tolerance = 0.1

    /// The wait between two pings; nil where nothing has been learnt.
    private(set) var pingInterval: Duration?
    /// When a carrier is to be renewed; nil for never.
    private(set) var renewalAge: Duration?
    private var lastIdle: Duration?
    private var lastAge: Duration?

    /// - Parameter maximumAge: when carriers are to be renewed in any case.
    init(maximumAge: Duration?) {
        renewalAge = maximumAge
    }

    /// A carrier was cut by whatever is on the way.
    mutating func lost(age: Duration, idle: Duration) -> Lesson? {
        // One that had been idle for most of its life tells nothing of ages.
        if idle >= Self.shortestIdle, idle > age / 2 || age < Self.youngest {
            lastAge = nil
            return learnIdle(idle)
        }
        if age >= Self.youngest, let lesson = learnAge(age) { return lesson }
        return idle >= Self.shortestIdle ? learnIdle(idle) : nil
    }

    private mutating func learnIdle(_ idle: Duration) -> Lesson? {
        defer { lastIdle = idle }
        guard let lastIdle, Self.areAlike(idle, lastIdle) else { return nil }
        let interval = max(Self.shortestPing, min(idle, lastIdle) / 2)
        guard pingInterval.map({ interval < $0 }) ?? true else { return nil }
        pingInterval = interval
        return .idle(min(idle, lastIdle))
    }

    private mutating func learnAge(_ age: Duration) -> Lesson? {
        defer { lastAge = age }
        guard let lastAge, Self.areAlike(age, lastAge) else { return nil }
        let renewal = min(age, lastAge) / 10 * 9
        guard renewalAge.map({ renewal < $0 }) ?? true else { return nil }
        renewalAge = renewal
        return .age(min(age, lastAge))
    }

    private static func areAlike(_ left: Duration, _ right: Duration) -> Bool {
        let difference = left > right ? left - right : right - left
        return difference <= max(max(left, right) * tolerance, .milliseconds(250))
    }

    /// When to renew a carrier, somewhat before its time, so that the clients of one server do not do it together.
    ///
    /// - Parameter unit: a random number, 0 to 1.
    func renewal(unit: Double) -> Duration? {
        renewalAge.map { $0 * (1 - 0.1 * unit) }
    }
}
