/// Gauges of one session, or of all sessions of a role together.
package struct TunnelGauges: Sendable {
    package private(set) var sessions = 0
    package private(set) var carriers = 0
    /// Sessions that wait for a carrier.
    package private(set) var waitingSessions = 0
    package private(set) var streams = 0
    package private(set) var tunnels = 0
    /// Tunnels that are wanted and are not public.
    package var unpublishedTunnels = 0
    /// Tunnels whose service cannot be reached.
    package private(set) var servicesDown = 0
    package private(set) var queued = 0
    package private(set) var buffered = 0

    /// Of no session.
    package init() {}

    /// Of one session, whose bytes are counted on the way; on its event loop.
    ///
    /// - Parameter unpublished: its tunnels that are wanted and are not public.
    package init(_ sessionLoop: SessionLoop, _ statistics: some Sequence<TunnelStatistics>, unpublished: Int) {
        unpublishedTunnels = unpublished
        sessionLoop.countDrops()
        sessions = 1
        carriers = sessionLoop.carrierCount
        waitingSessions = sessionLoop.hasCarrier ? 0 : 1
        streams = sessionLoop.streamCount
        (queued, buffered) = sessionLoop.waitingBytes
        for statistics in statistics {
            statistics.countAll()
            if statistics.place != nil { tunnels += 1 }
            if case .down? = statistics.health { servicesDown += 1 }
        }
    }

    /// Of sessions that have nothing.
    ///
    /// - Parameters:
    ///   - unpublished: the tunnels, none of which is public.
    ///   - sessions: their number; a client may be without one.
    package init(unpublished: Int, sessions: Int = 0) {
        unpublishedTunnels = unpublished
        self.sessions = sessions
    }

    package static func += (left: inout TunnelGauges, right: TunnelGauges) {
        left.sessions += right.sessions
        left.carriers += right.carriers
        left.waitingSessions += right.waitingSessions
        left.streams += right.streams
        left.tunnels += right.tunnels
        left.unpublishedTunnels += right.unpublishedTunnels
        left.servicesDown += right.servicesDown
        left.queued += right.queued
        left.buffered += right.buffered
    }
}
