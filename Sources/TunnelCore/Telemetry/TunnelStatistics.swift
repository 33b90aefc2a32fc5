import Mux

/// The visitors of one tunnel and the bytes carried there, for the operator's status and the metrics.
///
/// It is used on the session's event loop, when a socket is added and when it is closed. Meanwhile the streams' own counters
/// are read on demand, so a byte costs nothing.
package final class TunnelStatistics {
    /// The client's number for the tunnel.
    package let tunnel: UInt16
    /// What its streams carry.
    package let kind: StreamKind
    /// At a client, the service behind it.
    package let service: String?
    /// Where it is public; nil before it is.
    package private(set) var place: (address: String, port: UInt16)?
    /// Whether its service answers; nil until a visitor has shown that it does not.
    package var health: Health?
    /// Sockets so far.
    package private(set) var visitorsSoFar = 0
    /// Bytes that have been counted.
    package private(set) var traffic = Traffic()
    private let role: Role
    private let totals: TrafficTotals
    /// The last streams that have ended.
    package private(set) var endedLast = EndedStreams()
    private var live: [ObjectIdentifier: Live] = [:]

    /// An open socket, and its bytes that have been counted.
    private struct Live {
        let stream: any CountedStream
        var counted = StreamPipe.ByteCounts()
    }

    /// What the last visitor has shown of a service.
    package enum Health: Equatable {
        case up
        /// It cannot be reached, for this reason.
        case down(String)
    }

    /// - Parameter role: the end: a server's sockets are visitors, a client's are services.
    package init(
        tunnel: UInt16,
        kind: StreamKind = .tcp,
        role: Role,
        service: String? = nil,
        totals: TrafficTotals
    ) {
        self.tunnel = tunnel
        self.kind = kind
        self.service = service
        self.role = role
        self.totals = totals
    }

    /// The log's lines of streams that have ended.
    package var endedStreams: LogThrottle { totals.endedStreams }

    /// The role's metrics.
    package var metrics: TunnelMetrics { totals.metrics }

    /// The tunnel is public.
    package func published(address: String, port: UInt16) {
        place = (address, port)
    }

    /// The tunnel is not public any more.
    package func withdrawn() {
        place = nil
        health = nil
    }

    /// The pipes whose sockets are open, with those that wait for a stream; in no order.
    package var pipes: some Collection<any CountedStream> { live.values.lazy.map(\.stream) }

    /// A socket is open.
    package func joined(_ pipe: any CountedStream) {
        live[ObjectIdentifier(pipe)] = Live(stream: pipe)
        visitorsSoFar += 1
        totals.addVisitor()
    }

    /// A socket is closed.
    package func left(_ pipe: any CountedStream) {
        guard var last = live.removeValue(forKey: ObjectIdentifier(pipe)) else { return }
        count(&last)
    }

    /// A stream has ended.
    func note(_ stream: EndedStream) {
        endedLast.append(stream)
    }

    /// Counts what has been carried since the last time.
    package func countAll() {
        for index in live.values.indices { count(&live.values[index]) }
    }

    /// What one stream has carried.
    package func traffic(of pipe: any CountedStream) -> Traffic {
        traffic(pipe.moved)
    }

    private func count(_ live: inout Live) {
        let moved = live.stream.moved
        let news = traffic(moved - live.counted)
        live.counted = moved
        traffic += news
        totals.add(news)
    }

    func traffic(_ moved: StreamPipe.ByteCounts) -> Traffic {
        switch role {
        case .server: Traffic(toService: moved.fromSocket, toVisitor: moved.toSocket)
        case .client: Traffic(toService: moved.toSocket, toVisitor: moved.fromSocket)
        }
    }
}
