import Mux

/// Who is at one tunnel, and what has been carried there: what the operator's status and the metrics are made of.
///
/// It lives on the session's event loop and hears of a visitor twice, when the socket comes and when it goes. In between
/// the streams' own counters are read by whoever asks, so a byte costs nothing.
package final class TunnelStatistics {
    /// The client's number for the tunnel.
    package let tunnel: UInt16
    /// At a client, the service behind it.
    package let service: String?
    /// Where it is public; nil before it is.
    package private(set) var place: (address: String, port: UInt16)?
    /// Sockets so far.
    package private(set) var visitorsSoFar = 0
    /// Bytes that have been counted.
    package private(set) var traffic = Traffic()
    private let role: Role
    private let totals: TrafficTotals
    private var live: [ObjectIdentifier: StreamPipe] = [:]

    /// - Parameter role: whose sockets they are: a server's are visitors, a client's are services.
    package init(tunnel: UInt16, role: Role, service: String? = nil, totals: TrafficTotals) {
        self.tunnel = tunnel
        self.service = service
        self.role = role
        self.totals = totals
    }

    /// The log's lines of streams that have ended.
    package var endedStreams: LogThrottle { totals.endedStreams }

    /// The tunnel is public.
    package func published(address: String, port: UInt16) {
        place = (address, port)
    }

    /// The tunnel is not public any more.
    package func withdrawn() {
        place = nil
    }

    /// The streams whose sockets live, those that wait for their stream among them; in no order.
    package var pipes: some Collection<StreamPipe> { live.values }

    /// A socket has come.
    package func joined(_ pipe: StreamPipe) {
        live[ObjectIdentifier(pipe)] = pipe
        visitorsSoFar += 1
        totals.addVisitor()
    }

    /// A socket has gone.
    package func left(_ pipe: StreamPipe) {
        guard live.removeValue(forKey: ObjectIdentifier(pipe)) != nil else { return }
        count(pipe)
    }

    /// Counts what has been carried since the last time.
    package func countAll() {
        for pipe in live.values { count(pipe) }
    }

    /// What one stream has carried.
    package func traffic(of pipe: StreamPipe) -> Traffic {
        traffic(pipe.moved)
    }

    private func count(_ pipe: StreamPipe) {
        let news = traffic(pipe.takeUncounted())
        traffic += news
        totals.add(news)
    }

    private func traffic(_ moved: StreamPipe.ByteCounts) -> Traffic {
        switch role {
        case .server: Traffic(toService: moved.fromSocket, toVisitor: moved.toSocket)
        case .client: Traffic(toService: moved.toSocket, toVisitor: moved.fromSocket)
        }
    }
}
