import Metrics

/// The metrics of one role in a backend of swift-metrics. Without a backend they cost nothing.
///
/// Names follow Prometheus: counters end in `_total`, times are seconds. Gauges, and the bytes of streams that still
/// live, are brought up to date when the admin server is asked; the rest as it happens. No label's value comes from a
/// peer.
package final class TunnelMetrics: Sendable {
    /// The backend.
    package let factory: any MetricsFactory
    /// Sessions that were opened.
    package let sessions: Counter
    /// Streams that have ended.
    package let streams: Counter
    /// Streams that were reset, a part of those that have ended.
    package let resetStreams: Counter
    /// Bytes that visitors sent.
    package let bytesToServices: Counter
    /// Bytes that services sent.
    package let bytesToVisitors: Counter
    /// Carriers that were lost under a session that went on.
    package let lostCarriers: Counter
    /// Carriers that were added to sessions which had one already.
    package let addedCarriers: Counter
    /// Sessions that went on with another carrier.
    package let resumes: Counter
    /// The time from each PING to its PONG.
    package let roundTrip: Timer
    /// Datagrams that were dropped.
    package let droppedDatagrams: DroppedDatagrams

    private let sessionsGauge: Meter
    private let carriersGauge: Meter
    private let waitingSessionsGauge: Meter
    private let streamsGauge: Meter
    private let tunnelsGauge: Meter
    private let unpublishedTunnelsGauge: Meter
    private let servicesDownGauge: Meter
    private let queuedGauge: Meter
    private let bufferedGauge: Meter
    private let memoryGauge: Meter
    private let memoryLimitGauge: Meter

    /// Creates all of them, so that counters are 0 before the first event.
    ///
    /// - Parameter factory: the backend; the process's own by default.
    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        func counter(_ label: String, _ dimensions: [(String, String)] = []) -> Counter {
            Counter(label: label, dimensions: dimensions, factory: factory)
        }
        func gauge(_ label: String) -> Meter { Meter(label: label, factory: factory) }
        self.factory = factory
        sessions = counter("culvert_sessions_total")
        streams = counter("culvert_streams_total")
        resetStreams = counter("culvert_reset_streams_total")
        bytesToServices = counter("culvert_bytes_total", [("direction", "to_service")])
        bytesToVisitors = counter("culvert_bytes_total", [("direction", "to_visitor")])
        lostCarriers = counter("culvert_lost_carriers_total")
        addedCarriers = counter("culvert_added_carriers_total")
        resumes = counter("culvert_resumes_total")
        roundTrip = Timer(label: "culvert_round_trip_seconds", factory: factory)
        droppedDatagrams = DroppedDatagrams(factory: factory)
        sessionsGauge = gauge("culvert_sessions")
        carriersGauge = gauge("culvert_carriers")
        waitingSessionsGauge = gauge("culvert_waiting_sessions")
        streamsGauge = gauge("culvert_streams")
        tunnelsGauge = gauge("culvert_tunnels")
        unpublishedTunnelsGauge = gauge("culvert_unpublished_tunnels")
        servicesDownGauge = gauge("culvert_services_down")
        queuedGauge = gauge("culvert_queued_bytes")
        bufferedGauge = gauge("culvert_buffered_bytes")
        memoryGauge = gauge("culvert_memory_bytes")
        memoryLimitGauge = gauge("culvert_memory_limit_bytes")
    }

    /// States the release that runs, and in which role.
    package func publish(role: String) {
        let dimensions = [("role", role), ("version", culvertVersion)]
        Meter(label: "culvert_build_info", dimensions: dimensions, factory: factory).set(1)
    }

    /// Sets the gauges of the role's sessions.
    package func publish(_ gauges: TunnelGauges) {
        sessionsGauge.set(gauges.sessions)
        carriersGauge.set(gauges.carriers)
        waitingSessionsGauge.set(gauges.waitingSessions)
        streamsGauge.set(gauges.streams)
        tunnelsGauge.set(gauges.tunnels)
        unpublishedTunnelsGauge.set(gauges.unpublishedTunnels)
        servicesDownGauge.set(gauges.servicesDown)
        queuedGauge.set(gauges.queued)
        bufferedGauge.set(gauges.buffered)
    }

    /// Sets the gauges of the memory budget.
    package func publish(_ memory: MemoryBudget) {
        memoryGauge.set(memory.used)
        memoryLimitGauge.set(memory.capacity)
    }
}
