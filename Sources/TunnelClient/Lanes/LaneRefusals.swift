import Mux

/// Remembers how many lanes a proxy or a front permits a session, and when to try another one. Pure.
struct LaneRefusals: Sendable, Equatable {
    /// The first and the longest wait.
    static let waits = (first: Duration.seconds(60), longest: Duration.seconds(3_600))

    private var refusals = 0
    private var until: Instant?
    /// The lanes that the session had when a further one was refused.
    private var ceiling: Int?

    /// Records a refused or failed dial of a further lane.
    ///
    /// - Parameter lanes: the lanes that there are.
    /// - Returns: the wait, if the log does not have a line about it yet.
    mutating func failed(lanes: Int, now: Instant) -> Duration? {
        if let until, let ceiling, now < until {
            // Another dial that began before the refusal.
            self.ceiling = min(ceiling, lanes)
            return nil
        }
        let wait = min(Self.waits.first * (1 << min(refusals, 6)), Self.waits.longest)
        refusals += 1
        until = now + wait
        ceiling = min(ceiling ?? lanes, lanes)
        return refusals == 1 ? wait : nil
    }

    /// Records how many lanes there are. A number above that at the refusal ends the wait.
    mutating func observe(lanes: Int) {
        if let ceiling, lanes > ceiling { self = Self() }
    }

    /// Whether a session with `lanes` lanes may dial one more. After the wait, one dial shows whether there is room.
    func permits(beside lanes: Int, now: Instant) -> Bool {
        guard let ceiling, let until else { return true }
        return lanes < ceiling || lanes == ceiling && now >= until
    }
}
