import Mux

/// The traffic of a session since the last observation, up to a second ago. The client sees nothing else of the path.
struct LaneObservation: Sendable, Equatable {
    /// A lane that has a carrier, or waits for one.
    struct Lane: Sendable, Equatable {
        /// Its number, which no other lane of the session has had. The session begins with lane 0.
        var number: UInt32
        /// Bytes moved over the lane since the last observation, both directions.
        var moved: UInt64
    }

    /// The time of this observation.
    var now: Instant
    /// The shortest round trip of the path; nil if it is not known yet.
    var roundTrip: Duration?
    /// The lanes of the session.
    var lanes: [Lane]
    /// The lane for interactive traffic and the session's own frames.
    var quick: UInt32
    /// Whether there was bulk traffic since the last observation.
    var hasBulk = false
    /// Whether an interactive stream has sent or received something since the last observation.
    var hasInteractive = false
    /// Dials of further lanes in progress.
    var dialling = 0

    /// The numbers of the lanes.
    var numbers: Set<UInt32> { Set(lanes.map(\.number)) }
}
