import Metrics
import Synchronization
import TunnelCore

/// The metrics of each client of the configuration, by the operator's name for it. They exist only if the operator asks for
/// them, with `metrics_by_client`.
///
/// A client's own name for itself is no label, since a peer chooses it.
final class ClientSeries: Sendable {
    /// The limit of names. The clients beyond it share the name `other`. The backend's own limit is higher, so that no
    /// series of a gauge is set by two clients.
    static let limit = 60
    static let other = "other"

    /// The series of one name.
    private struct Series: Sendable {
        let sessions: Meter
        let streams: Meter
        let tunnels: Meter
        let traffic: ClientTraffic
    }

    private let factory: any MetricsFactory
    private let series = Mutex<[String: Series]>([:])

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
    }

    /// Receives the bytes of a client's sessions.
    func traffic(of client: String) -> ClientTraffic {
        series.withLock { self.series(&$0, client).traffic }
    }

    /// Sets the gauges of all clients.
    ///
    /// - Parameter gauges: those of the sessions that live, with the client's name.
    func publish(_ gauges: [(client: String, gauges: TunnelGauges)]) {
        series.withLock { all in
            guard !gauges.isEmpty || !all.isEmpty else { return }
            var sums: [String: TunnelGauges] = [:]
            for one in gauges {
                _ = series(&all, one.client)
                sums[all[one.client] == nil ? Self.other : one.client, default: TunnelGauges()] += one.gauges
            }
            // A client without a session has zeros.
            for (name, series) in all {
                let sum = sums[name] ?? TunnelGauges()
                series.sessions.set(sum.sessions)
                series.streams.set(sum.streams)
                series.tunnels.set(sum.tunnels)
            }
        }
    }

    private func series(_ all: inout [String: Series], _ client: String) -> Series {
        let name = all[client] != nil || all.count < Self.limit ? client : Self.other
        if let known = all[name] { return known }
        let label = [("client", name)]
        let new = Series(
            sessions: Meter(label: "culvert_client_sessions", dimensions: label, factory: factory),
            streams: Meter(label: "culvert_client_streams", dimensions: label, factory: factory),
            tunnels: Meter(label: "culvert_client_tunnels", dimensions: label, factory: factory),
            traffic: ClientTraffic(client: name, factory: factory)
        )
        all[name] = new
        return new
    }
}
