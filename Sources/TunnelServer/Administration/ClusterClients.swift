import Cluster
import HTTP1
import NIOCore
import TunnelAdmin
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The clients of all servers of a cluster: the answer to `GET /cluster`.
public struct ClusterClients: Codable, Sendable, Hashable {
    /// The time of this answer.
    public var now: Date
    /// The servers, in the order of their ids.
    public var servers: [ClusterServerClients]
}

/// The clients of one server.
public struct ClusterServerClients: Codable, Sendable, Hashable {
    /// The server's id.
    public var server: String
    /// The URL under which other servers reach it.
    public var peerUrl: String
    /// Whether it accepts no further session.
    public var isDraining: Bool
    /// Why its clients are not known; nil if they are.
    public var problem: String?
    /// Sessions for which the answer has no room.
    public var sessionsLeftOut: Int
    /// Its sessions.
    public var sessions: [ClusterSession]

    /// The clients of a server that are not known.
    init(_ record: ServerRecord, problem: String) {
        self.init(record, HomeClients())
        self.problem = problem
    }

    /// The clients that a server has named.
    init(_ record: ServerRecord, _ clients: HomeClients) {
        server = "\(record.id)"
        peerUrl = record.peerURL.escapedForDisplay()
        isDraining = record.isDraining
        (sessionsLeftOut, sessions) = (clients.sessionsLeftOut, clients.sessions)
    }
}

/// One session, in short.
public struct ClusterSession: Codable, Sendable, Hashable {
    /// The operator's name for the client, and after a slash the client's own name for itself, if it has one.
    public var name: String
    /// The address that the client comes from.
    public var peer: String
    /// The client's software and its version.
    public var software: String
    /// The time when the session began.
    public var since: Date
    /// Whether the session has a WebSocket.
    public var hasCarrier: Bool
    /// Streams that live.
    public var streams: Int
    /// Bytes that its visitors have sent.
    public var bytesToService: Int
    /// Bytes that were sent to them.
    public var bytesToVisitor: Int
    /// Its public places: `8080`, `udp:53`, or a URL.
    public var places: [String]
    /// Public places for which the answer has no room.
    public var placesLeftOut: Int

    /// The greatest number of places.
    static let longestPlaces = 32

    init(_ status: SessionStatus) {
        (name, peer, software, since) = (status.name, status.peer, status.software, status.since)
        (hasCarrier, streams) = (status.hasCarrier, status.streams)
        (bytesToService, bytesToVisitor) = (status.bytesToService, status.bytesToVisitor)
        let all = status.tunnels.compactMap(\.place)
        places = Array(all.prefix(Self.longestPlaces))
        placesLeftOut = all.count - places.count
    }

    /// The same session with values that can be shown and counted. Another server may send anything.
    var checked: ClusterSession {
        var session = self
        session.name = name.escapedForDisplay()
        session.peer = peer.escapedForDisplay()
        session.software = software.escapedForDisplay()
        session.since = since.inCalendar
        session.streams = streams.asCount
        session.bytesToService = bytesToService.asCount
        session.bytesToVisitor = bytesToVisitor.asCount
        session.places = places.prefix(Self.longestPlaces).map { $0.escapedForDisplay(limit: 512) }
        session.placesLeftOut = placesLeftOut.asCount
        return session
    }
}

extension TunnelStatus {
    /// Where the tunnel is public, in short; nil if it is not.
    fileprivate var place: String? {
        if let url { return url.escapedForDisplay(limit: 512) }
        guard let address else { return nil }
        guard let port else { return "unix:\(address)".escapedForDisplay(limit: 512) }
        return transport == "tcp" ? "\(port)" : "\(transport):\(port)"
    }
}

extension Int {
    /// The number within 0 and 2^48, so that sums of many cannot overflow.
    var asCount: Int { Swift.min(Swift.max(self, 0), 1 << 48) }
}
