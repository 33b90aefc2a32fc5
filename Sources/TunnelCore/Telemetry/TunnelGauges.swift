/// Gauges of one session, or of all sessions of a role together.
package struct TunnelGauges: Sendable {
    package private(set) var sessions = 0
    package private(set) var carriers = 0
    package private(set) var streams = 0
    package private(set) var tunnels = 0
    package private(set) var queued = 0
    package private(set) var buffered = 0

    /// Of no session.
    package init() {}

    /// Of one session, whose bytes are counted on the way; on its event loop.
    package init(_ sessionLoop: SessionLoop, _ statistics: some Sequence<TunnelStatistics>) {
        sessionLoop.countDrops()
        sessions = 1
        carriers = sessionLoop.hasCarrier ? 1 : 0
        streams = sessionLoop.streamCount
        (queued, buffered) = sessionLoop.waitingBytes
        for statistics in statistics {
            statistics.countAll()
            if statistics.place != nil { tunnels += 1 }
        }
    }

    package static func += (left: inout TunnelGauges, right: TunnelGauges) {
        left.sessions += right.sessions
        left.carriers += right.carriers
        left.streams += right.streams
        left.tunnels += right.tunnels
        left.queued += right.queued
        left.buffered += right.buffered
    }
}
