import HTTP1
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// One tunnel of a session, as an operator sees it. Written as JSON with keys in snake case.
public struct TunnelStatus: Codable, Sendable, Hashable {
    /// The client's number for it.
    public var tunnel: Int
    /// The public address, where it is public.
    public var address: String?
    /// The public port, where it is public.
    public var port: Int?
    /// On the client: where visitors are led.
    public var service: String?
    /// On the client: where the public finds it.
    public var url: String?
    /// On the client: why the server does not make it public.
    public var refusal: String?
    /// Visitors who are there now.
    public var visitors: Int
    /// Visitors who have come in this session.
    public var visitorsSoFar: Int
    /// Bytes that visitors sent, of this session.
    public var bytesToService: Int
    /// Bytes that the service sent, of this session.
    public var bytesToVisitor: Int
}

/// One visitor, as an operator sees it.
public struct VisitorStatus: Codable, Sendable, Hashable {
    /// The number of its stream in the session; nil while it waits for one.
    public var stream: UInt32?
    /// Its address and port.
    public var address: String
    /// The tunnel at which it came.
    public var tunnel: Int
    /// The public port of that.
    public var port: Int?
    /// When it came.
    public var since: Date
    /// Bytes that it sent.
    public var bytesToService: Int
    /// Bytes that were sent to it.
    public var bytesToVisitor: Int
}

/// What a role has done since it started.
public struct TotalStatus: Codable, Sendable, Hashable {
    /// Sessions so far.
    public var sessions: Int
    /// Visitors so far.
    public var visitors: Int
    /// Bytes that visitors sent.
    public var bytesToService: Int
    /// Bytes that services sent.
    public var bytesToVisitor: Int
}

extension TunnelStatus {
    /// Counts what has been carried, and tells it.
    package init(_ statistics: TunnelStatistics) {
        statistics.countAll()
        tunnel = Int(statistics.tunnel)
        address = statistics.place?.address
        port = statistics.place.map { Int($0.port) }
        visitors = statistics.pipes.count
        visitorsSoFar = statistics.visitorsSoFar
        bytesToService = statistics.traffic.toService
        bytesToVisitor = statistics.traffic.toVisitor
    }
}

extension VisitorStatus {
    /// The visitors of a tunnel, the longest there first.
    package static func all(of statistics: TunnelStatistics) -> [VisitorStatus] {
        let visitors = statistics.pipes.map { pipe in
            let traffic = statistics.traffic(of: pipe)
            return VisitorStatus(
                stream: pipe.id?.rawValue,
                address: pipe.identity.visitor.escapedForDisplay(),
                tunnel: Int(statistics.tunnel),
                port: statistics.place.map { Int($0.port) },
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
    }
}
