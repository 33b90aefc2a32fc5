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
        case .throughput(let percent): "another carrier adds throughput: \(percent) % more"
        case .configured(let number): "the configuration asks for \(number)"
        case .lost: "the last one was lost"
        }
    }
}

/// Why a lane is closed.
enum LaneCloseReason: Sendable, Equatable, CustomStringConvertible {
    /// A measurement showed that it adds only this many percent, which may be negative.
    case noGain(percent: Int)
    /// There was no bulk traffic for a minute.
    case quiet
    /// The traffic that it was for is over, and other traffic goes on.
    case unneeded
    /// The server permits fewer.
    case limit

    /// The text for the log.
    var description: String {
        switch self {
        case .noGain(let percent): "it adds less than a fifth of throughput: \(percent) %"
        case .quiet: "no bulk traffic for a minute"
        case .unneeded: "the traffic that it was for is over"
        case .limit: "the server permits fewer"
        }
    }
}
