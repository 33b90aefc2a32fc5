import Mux

/// Notices that the machine has slept: the wall clock went on and the monotonic one, which all timers follow, did not.
/// A carrier that has slept through its proxy's patience is dead without a word. Pure.
///
/// Whoever sets the wall clock is taken for a sleeper, at the cost of one ping.
struct SleepDetector: Sendable {
    /// How much the clocks may disagree between two looks.
    static let tolerance = Duration.seconds(30)
    /// How often to look.
    static let period = Duration.seconds(2)
    /// How long the answer may take that is asked for after a sleep.
    static let patience = Duration.seconds(5)

    private var last: (wall: Int64, monotonic: Instant)?

    /// - Parameter wall: seconds since 1970.
    /// - Returns: whether the machine has slept since the last look.
    mutating func look(wall: Int64, monotonic: Instant) -> Bool {
        defer { last = (wall, monotonic) }
        guard let last else { return false }
        let (seconds, overflow) = wall.subtractingReportingOverflow(last.wall)
        guard !overflow else { return true }
        let passed = monotonic.since(last.monotonic)
        let gap = Duration.seconds(seconds) - passed
        return gap > Self.tolerance || gap < .zero - Self.tolerance
    }
}
