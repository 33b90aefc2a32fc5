/// Figures of a session's traffic, for an owner that decides how many lanes it needs.
extension Session {
    /// The bytes of one lane, and what this end knows of its path.
    public struct LaneFigures: Sendable, Hashable {
        /// The lane.
        public let lane: LaneID
        /// Whether it has a carrier.
        public let isAttached: Bool
        /// Bytes of counted frames that came and went over the lane.
        public let moved: UInt64
        /// Bytes a second that the path has delivered from this end lately; 0 if that is not known.
        public let rate: Double
        /// The last round trip; nil before the first PONG.
        public let roundTrip: Duration?
        /// Bytes that the peer has not acknowledged.
        public let unacknowledged: Int
    }

    /// The figures of each lane in use, in the order of their numbers.
    public var laneFigures: [LaneFigures] {
        lanes.map { lane in
            LaneFigures(
                lane: lane.id,
                isAttached: lane.isAttached,
                moved: lane.moved,
                rate: lane.congestion.rate,
                roundTrip: lane.keepAlive.roundTrip,
                unacknowledged: lane.replay.bytes
            )
        }
    }

    /// Whether an interactive stream has sent or received something within `span`.
    public func hasInteractive(within span: Duration, now: Instant) -> Bool {
        arriving.isRecent(within: span, now: now)
            || lanes.first?.congestion.interactive.isRecent(within: span, now: now) ?? false
    }

    /// Notes DATA that has arrived.
    mutating func noteArrival(of stream: Stream, _ bytes: Int, now: Instant) {
        let isRest = stream.hasReceivedLong
        stream.hasReceivedLong = bytes > SendScheduler.interactiveBytes
        if bytes <= SendScheduler.interactiveBytes {
            if !isRest { arriving.sendsShort(stream.id, now: now) }
        } else if bytes >= MuxLimits.sharedData {
            arriving.sendsLong(stream.id)
            // A short chunk that left before on the stream asked for these bytes.
            for index in lanes.indices { lanes[index].congestion.interactive.sendsLong(stream.id) }
            bulkBytes &+= UInt64(bytes)
        }
    }
}
