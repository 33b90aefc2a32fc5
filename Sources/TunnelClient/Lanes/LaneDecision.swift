/// A change of lanes that ``LanePolicy`` asks for.
enum LaneDecision: Sendable, Equatable {
    /// Dial a further lane.
    case open(LaneReason)
    /// Leave this lane, and close its carrier.
    case close(lane: UInt32, LaneCloseReason)
}

/// Why a lane was opened, or why it is kept.
enum LaneReason: Sendable, Equatable, CustomStringConvertible {
    /// Bulk and interactive traffic coincide.
    case coincidence
    /// A measurement of what another lane adds.
    case trial
    /// The measurement showed that the lane adds this many percent.
    case throughput(percent: Int)
    /// The configuration asks for so many.
    case configured(Int)
    /// A lane that is still of use was lost.
    case lost

    /// The text for the status.
    var description: String {
        switch self {
        case .coincidence: "bulk and interactive traffic at once"
        case .trial: "to measure whether another carrier adds throughput"
        case .throughput(let percent): "it adds \(percent) % throughput"
        case .configured(let number): "the configuration asks for \(number) WebSockets"
        case .lost: "it replaces a lost WebSocket"
        }
    }
}

/// Why a lane is closed.
enum LaneCloseReason: Sendable, Equatable, CustomStringConvertible {
    /// The measured gain in percent, below a fifth and perhaps negative; of all lanes on trial together if none is kept.
    case noGain(percent: Int)
    /// There was no bulk traffic for a minute.
    case quiet
    /// The traffic for which it was opened has ended, while other traffic continues.
    case unneeded
    /// The server permits fewer.
    case limit

    /// The text for the log.
    var description: String {
        switch self {
        case .noGain(let percent): "throughput changed by \(percent) %, which is less than a fifth"
        case .quiet: "no bulk traffic for a minute"
        case .unneeded: "its traffic has ended"
        case .limit: "the server permits fewer WebSockets"
        }
    }
}
