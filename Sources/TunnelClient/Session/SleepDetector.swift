import Mux

/// Notices that the machine has slept: the wall clock advanced, and the monotonic clock of all timers did not. Pure.
///
/// A carrier that slept longer than its proxy's timeout is dead, and nothing reports it. A wall clock that is set looks
/// like a sleep, which costs one ping.
struct SleepDetector: Sendable {
    /// The difference of the two clocks that counts as a sleep.
    static let tolerance = Duration.seconds(30)
    /// The time between two checks.
    static let period = Duration.seconds(2)
    /// The timeout of the ping after a sleep.
    static let pingTimeout = Duration.seconds(5)

    private var last: (wall: Int64, monotonic: Instant)?

    /// Compares the clocks.
    ///
    /// - Parameter wall: seconds since 1970.
    /// - Returns: whether the machine has slept since the last check.
    mutating func check(wall: Int64, monotonic: Instant) -> Bool {
        defer { last = (wall, monotonic) }
        guard let last else { return false }
        let (seconds, overflow) = wall.subtractingReportingOverflow(last.wall)
        guard !overflow else { return true }
        let passed = monotonic.since(last.monotonic)
        let gap = Duration.seconds(seconds) - passed
        return gap > Self.tolerance || gap < .zero - Self.tolerance
    }
}
