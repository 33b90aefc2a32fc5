import HTTP1
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The state of one tunnel. Its JSON has keys in snake case.
public struct TunnelStatus: Codable, Sendable, Hashable {
    /// The client's number for it.
    public var tunnel: Int
    /// `tcp`, `udp`, or `unix` for a Unix socket.
    public var transport = "tcp"
    /// The public address, or the path of a Unix socket, if the tunnel is public.
    public var address: String?
    /// The public port, if the tunnel is public; nil for a Unix socket.
    public var port: Int?
    /// On the client: the service that visitors are joined to.
    public var service: String?
    /// On the client: the public URL.
    public var url: String?
    /// What the client has asked for, if the tunnel is not public.
    public var wanted: String?
    /// The server's reason for not making the tunnel public.
    public var refusal: String?
    /// Whether the tunnel is public.
    public var isPublic: Bool { address != nil }
    /// Whether the service answered its last visitor; nil if no visitor has shown that it does not.
    public var isServiceUp: Bool?
    /// Why the service does not answer.
    public var serviceProblem: String?
    /// Visitors that are connected now.
    public var visitors: Int
    /// Visitors that have connected in this session.
    public var visitorsSoFar: Int
    /// Bytes that visitors have sent in this session.
    public var bytesToService: Int
    /// Bytes that the service has sent in this session.
    public var bytesToVisitor: Int
    /// The last streams that have ended, the latest first.
    public var endings: [EndingStatus] = []
}

/// A stream that has ended.
public struct EndingStatus: Codable, Sendable, Hashable {
    /// The address of the visitor, or of the program at the client.
    public var address: String
    /// `tcp` or `udp`.
    public var transport: String
    /// What the client, or a SOCKS request, has named; nil for other visitors.
    public var destination: String?
    /// The time when it began.
    public var since: Date
    /// The time when it ended.
    public var ended: Date
    /// How it ended.
    public var reason: String
    /// Whether both directions ended in order.
    public var isFinished: Bool
    /// Bytes that the visitor has sent.
    public var bytesToService: Int
    /// Bytes that were sent to the visitor.
    public var bytesToVisitor: Int
}

extension EndingStatus {
    /// The last streams of a tunnel that have ended, the latest first.
    package static func all(of statistics: TunnelStatistics) -> [EndingStatus] {
        statistics.endedLast.latestFirst.map { stream in
            EndingStatus(
                address: stream.visitor.escapedForDisplay(),
                transport: stream.kind == .udp ? "udp" : "tcp",
                destination: stream.destination?.escapedForDisplay(),
                since: Date(timeIntervalSince1970: Double(stream.since)),
                ended: Date(timeIntervalSince1970: Double(stream.ended)),
                reason: stream.ending.description,
                isFinished: stream.ending == .finished,
                bytesToService: stream.traffic.toService,
                bytesToVisitor: stream.traffic.toVisitor
            )
        }
    }
}

/// The state of one forward of a client.
public struct ForwardStatus: Codable, Sendable, Hashable {
    /// Where the client listens; nil while the port is not bound.
    public var address: String?
    /// The destination, or `socks`.
    public var destination: String
    /// Connections that are open now.
    public var connections: Int
    /// Connections since the start.
    public var connectionsSoFar: Int
    /// Bytes that the programs have sent.
    public var bytesToDestination: Int
    /// Bytes that the destinations have sent.
    public var bytesToProgram: Int
}

extension ForwardStatus {
    /// Creates the state of a forward, after counting the bytes of its streams.
    package init(_ statistics: TunnelStatistics, address: String?) {
        statistics.countAll()
        self.address = address
        destination = statistics.service ?? ""
        connections = statistics.pipes.count
        connectionsSoFar = statistics.visitorsSoFar
        bytesToDestination = statistics.traffic.toService
        bytesToProgram = statistics.traffic.toVisitor
    }
}

/// The state of one visitor, or of one connection to a destination.
public struct VisitorStatus: Codable, Sendable, Hashable {
    /// The number of its stream in the session; nil while it waits for one.
    public var stream: UInt32?
    /// Its address and port.
    public var address: String
    /// The tunnel that it is connected to.
    public var tunnel: Int
    /// `tcp`, `udp`, or `unix` for a visitor at a Unix socket.
    public var transport = "tcp"
    /// The path of that Unix socket.
    public var path: String?
    /// The URL of a public host name; nil for other places.
    public var url: String?
    /// The tunnel's public port, or the forward's local one.
    public var port: Int?
    /// What the client, or a SOCKS request, has named; nil for other visitors.
    public var destination: String?
    /// The time when it connected.
    public var since: Date
    /// Bytes that it has sent.
    public var bytesToService: Int
    /// Bytes that were sent to it.
    public var bytesToVisitor: Int
}

/// The totals of a role since its start.
public struct TotalStatus: Codable, Sendable, Hashable {
    /// Sessions so far.
    public var sessions: Int
    /// Visitors so far.
    public var visitors: Int
    /// Bytes that visitors have sent.
    public var bytesToService: Int
    /// Bytes that services have sent.
    public var bytesToVisitor: Int
    /// Datagrams that this end has dropped, by reason, as `culvert_dropped_datagrams_total` has them.
    public var droppedDatagrams: [String: Int] = [:]
}

extension TunnelStatus {
    /// Creates the state of a tunnel, after counting the bytes of its streams.
    package init(_ statistics: TunnelStatistics) {
        statistics.countAll()
        tunnel = Int(statistics.tunnel)
        address = statistics.place?.address
        port = statistics.port
        transport = statistics.transport
        url = statistics.url
        switch statistics.health {
        case .up?: isServiceUp = true
        case .down(let reason)?: (isServiceUp, serviceProblem) = (false, reason.escapedForDisplay(limit: 256))
        case nil: break
        }
        visitors = statistics.pipes.count
        visitorsSoFar = statistics.visitorsSoFar
        bytesToService = statistics.traffic.toService
        bytesToVisitor = statistics.traffic.toVisitor
        endings = EndingStatus.all(of: statistics)
    }

    /// Creates the state of a tunnel that is wanted and is not public.
    package init(tunnel: UInt16, transport: String, wanted: String, refusal: String) {
        self.tunnel = Int(tunnel)
        self.transport = transport
        self.wanted = wanted
        self.refusal = refusal
        (visitors, visitorsSoFar, bytesToService, bytesToVisitor) = (0, 0, 0, 0)
    }
}

extension VisitorStatus {
    /// The visitors of a tunnel, in the order in which they connected.
    package static func all(of statistics: TunnelStatistics) -> [VisitorStatus] {
        let visitors = statistics.pipes.map { pipe in
            let traffic = statistics.traffic(of: pipe)
            return VisitorStatus(
                stream: pipe.id?.rawValue,
                address: pipe.identity.visitor.escapedForDisplay(),
                tunnel: Int(statistics.tunnel),
                transport: pipe.identity.kind == .udp ? "udp" : statistics.transport,
                path: statistics.path?.escapedForDisplay(),
                url: statistics.url?.escapedForDisplay(),
                port: statistics.port,
                destination: pipe.identity.destination?.escapedForDisplay(),
                since: Date(timeIntervalSince1970: Double(pipe.identity.since)),
                bytesToService: traffic.toService,
                bytesToVisitor: traffic.toVisitor
            )
        }
        return visitors.sorted { ($0.since, $0.stream ?? .max) < ($1.since, $1.stream ?? .max) }
    }
}

extension TotalStatus {
    package init(_ totals: TrafficTotals) {
        sessions = totals.sessions
        visitors = totals.visitors
        bytesToService = totals.traffic.toService
        bytesToVisitor = totals.traffic.toVisitor
        droppedDatagrams = totals.metrics.droppedDatagrams.counts
    }
}

extension TunnelStatistics {
    /// The path of the public or local Unix socket; nil for a port.
    fileprivate var path: String? { place.flatMap { $0.address.hasPrefix("/") ? $0.address : nil } }

    /// The URL of a public host name; nil for other places.
    fileprivate var url: String? { place.flatMap { $0.address.contains("://") ? $0.address : nil } }

    /// `tcp`, `udp`, `unix`, or for a host name `http` or `tls`.
    fileprivate var transport: String {
        if let url { return url.hasPrefix("tls") ? "tls" : "http" }
        return path != nil ? "unix" : kind == .udp ? "udp" : "tcp"
    }

    /// The public or local port; nil without one.
    fileprivate var port: Int? { place.flatMap { $0.port > 0 ? Int($0.port) : nil } }
}
