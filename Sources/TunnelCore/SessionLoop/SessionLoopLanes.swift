import Mux

/// The state of a session's lanes, for its role.
extension SessionLoop {
    /// One lane and its carrier.
    package struct LaneState {
        /// The lane's number.
        package let lane: LaneID
        /// The age of its carrier; nil without one.
        package let age: Duration?
        /// Bytes of counted frames that came and went over it.
        package let moved: UInt64
        /// Bytes a second that its path has delivered from this end lately; 0 if that is not known.
        package let rate: Double
        /// The last round trip; nil before the first answer.
        package let roundTrip: Duration?
        /// Bytes that the peer has not acknowledged.
        package let unacknowledged: Int
        /// Segments that the kernel has sent again; nil if that is not known.
        package let retransmitted: UInt32?
    }

    /// The lanes in use, in the order of their numbers.
    package var laneStates: [LaneState] {
        session.laneFigures.map { figures in
            let carrier = carrier(of: figures.lane)
            return LaneState(
                lane: figures.lane,
                age: carrier.map { Instant.now.since($0.since) },
                moved: figures.moved,
                rate: figures.rate,
                roundTrip: figures.roundTrip,
                unacknowledged: figures.unacknowledged,
                retransmitted: carrier?.link.retransmitted
            )
        }
    }

    /// The lane of control frames and interactive bytes.
    package var quickLane: LaneID { session.quickLane }

    /// Bytes of long DATA frames that came and went.
    package var bulkBytes: UInt64 { session.bulkBytes }

    /// Whether an interactive stream has sent or received something within `span`.
    package func hasInteractive(within span: Duration) -> Bool { session.hasInteractive(within: span, now: .now) }
}
