import Cluster
import HTTP1
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The cluster as one server sees it.
public struct ClusterStatus: Codable, Sendable, Hashable {
    /// The id of this server. A server that starts again has another one.
    public var server: String
    /// The URL under which other servers reach it.
    public var peerUrl: String
    /// Whether the store has answered the last request.
    public var isStoreReachable: Bool
    /// The time since which the store does not answer; nil while it does.
    public var storeSilentSince: Date?
    /// Why a request to the store has failed for the last time; nil if none has.
    public var lastStoreFailure: String?
    /// Leases of this server at the store.
    public var leases: Int
    /// Ports and host names that the sessions of this server have.
    public var claims: Int
    /// Ports and host names that they want and do not have yet.
    public var waitingClaims: Int
    /// Ports of sessions at other servers.
    public var portsOfOthers: Int
    /// Of these, the ports that this server cannot bind.
    public var unservedPorts: Int
    /// All servers of the cluster, this one among them.
    public var servers: [ClusterServerStatus]
}

/// One server of a cluster, as another one sees it.
public struct ClusterServerStatus: Codable, Sendable, Hashable {
    /// The server's id.
    public var id: String
    /// The URL under which other servers reach it.
    public var peerUrl: String
    /// Whether it accepts no further session.
    public var isDraining: Bool
    /// The release that it runs.
    public var version: String
    /// The time of its start.
    public var since: Date
    /// Whether a link from this server to it is open.
    public var isLinked: Bool
    /// Streams over that link.
    public var streams: Int

    /// A server by its record, which other servers and etcd have written.
    init(_ record: ServerRecord, isLinked: Bool, streams: Int) {
        id = "\(record.id)"
        peerUrl = record.peerURL.escapedForDisplay()
        isDraining = record.isDraining
        version = record.version.escapedForDisplay(limit: 64)
        since = Date(timeIntervalSince1970: Double(record.since)).inCalendar
        (self.isLinked, self.streams) = (isLinked, streams)
    }
}

extension Date {
    /// The date, or the nearest one that has a year of four digits. The date of another server may be anything.
    var inCalendar: Date {
        Date(timeIntervalSince1970: min(max(timeIntervalSince1970, 0), 253_402_300_799))
    }
}
