import Metrics

/// Gauges of one session, or of all sessions of a role together.
package struct TunnelGauges: Sendable {
    private static let sessionsMeter = Meter(label: "culvert_sessions")
    private static let carriersMeter = Meter(label: "culvert_carriers")
    private static let streamsMeter = Meter(label: "culvert_streams")
    private static let tunnelsMeter = Meter(label: "culvert_tunnels")
    private static let queuedMeter = Meter(label: "culvert_queued_bytes")
    private static let bufferedMeter = Meter(label: "culvert_buffered_bytes")

    private var sessions = 0
    private var carriers = 0
    private var streams = 0
    private var tunnels = 0
    private var queued = 0
    private var buffered = 0

    /// Of no session.
    package init() {}

    /// Of one session, whose bytes are counted on the way; on its event loop.
    package init(_ sessionLoop: SessionLoop, _ statistics: some Sequence<TunnelStatistics>) {
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

    /// Hands all of it to the metrics.
    package func publish() {
        Self.sessionsMeter.set(sessions)
        Self.carriersMeter.set(carriers)
        Self.streamsMeter.set(streams)
        Self.tunnelsMeter.set(tunnels)
        Self.queuedMeter.set(queued)
        Self.bufferedMeter.set(buffered)
    }
}
