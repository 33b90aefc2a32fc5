import Mux

/// Learns in one run how long the path to the server lets a carrier live. Proxies cut idle connections, and some cut all
/// connections of a certain age. Pure.
///
/// Each lesson takes two carriers that ended alike, since one may end for any reason. A lesson holds for the rest of the
/// run: too many pings cost a few bytes, and a cut costs a pause.
struct PathProfile: Sendable, Equatable {
    /// A new lesson, for the log.
    enum Lesson: Sendable, Equatable {
        /// The path cuts carriers that are idle for so long.
        case idle(Duration)
        /// The path cuts carriers of this age.
        case age(Duration)
    }

    /// The shortest time between two pings that is learnt.
    static let shortestPing = Duration.seconds(1)
    /// The shortest silence that means something. Below it the carrier was in use.
    static let shortestIdle = Duration.seconds(1)
    /// The lowest age that leads to renewals. Younger carriers are dialled anew after their loss.
    static let youngest = Duration.seconds(10)
    /// The relative difference up to which two ends are alike.
    static let tolerance = 0.1

    /// The time between two pings; nil if nothing has been learnt.
    private(set) var pingInterval: Duration?
    /// The age at which a carrier is renewed; nil for none.
    private(set) var renewalAge: Duration?
    private var lastIdle: Duration?
    private var lastAge: Duration?

    /// - Parameter maximumAge: the age at which carriers are renewed in any case.
    init(maximumAge: Duration?) {
        renewalAge = maximumAge
    }

    /// Learns from a carrier that the path has cut.
    mutating func lost(age: Duration, idle: Duration) -> Lesson? {
        // The age means nothing if the carrier was idle for most of its life.
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

    /// The age at which to renew a carrier, somewhat before the learnt one, so that the clients of one server do not
    /// renew together.
    ///
    /// - Parameter unit: a random number, 0 to 1.
    func renewal(unit: Double) -> Duration? {
        renewalAge.map { $0 * (1 - 0.1 * unit) }
    }
}
