import Mux

/// Notices that something alters what the carriers of a session bring, again and again.
///
/// One altered message may be a broken machine. Three in a minute are a fault or an attack that the operator must know of.
struct AlterationWatch {
    /// Carriers that must end so within ``span``.
    static let threshold = 3
    static let span = Duration.seconds(60)

    private var times: [Instant] = []

    /// Records that a carrier has ended because what came was altered.
    ///
    /// - Returns: whether this is one too many. The count then begins anew.
    mutating func record(now: Instant) -> Bool {
        times.removeAll { now.since($0) > Self.span }
        times.append(now)
        guard times.count >= Self.threshold else { return false }
        times = []
        return true
    }
}
