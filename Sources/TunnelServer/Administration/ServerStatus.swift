#if canImport(FoundationEssentials)
import TunnelCore
import TunnelAdmin
public import FoundationEssentials
#else
public import Foundation
#endif

/// The state of a running server: the answer to `GET /status`.
public struct ServerStatus: Codable, Sendable, Hashable {
    /// Always `server`, in contrast to a client's status.
    public var role = "server"
    /// The release that runs.
    public var version = culvertVersion
    /// The time of the server's start.
    public var started: Date
    /// The time of this answer.
    public var now: Date
    /// The fingerprint of the server's key; nil if it seals no session.
    public var key: String?
    /// Whether clients and visitors are accepted. False before the server listens and while it stops.
    public var isAccepting: Bool
    /// Connections that are not authenticated.
    public var handshakes: Int
    /// The sessions that live, in the order in which they began.
    public var sessions: [SessionStatus]
    /// The clients whose last session has ended, the latest first; at most 64 of them.
    public var gone: [GoneClientStatus]
    /// Totals since the start.
    public var totals: TotalStatus
    /// The cluster; nil for a server alone.
    public var cluster: ClusterStatus?
}

/// The state of one client's session.
public struct SessionStatus: Codable, Sendable, Hashable {
    /// The session's number, counted from 1 since the server's start.
    public var number: Int
    /// The operator's name for the client.
    public var client: String
    /// The operator's name for the client, and after a slash the client's own name for itself, if it has one.
    public var name: String
    /// The address that the present carrier of its first lane comes from.
    public var peer: String
    /// The front that has named that address; nil without one.
    public var front: String?
    /// The client's software and its version.
    public var software: String
    /// The version of the session protocol.
    public var version: Int
    /// The fingerprint of the server's key with which the session is sealed; nil if it is not.
    public var sealedWith: String?
    /// The time when the session began.
    public var since: Date
    /// The latest time from a ping to its answer, in milliseconds; nil before the first answer.
    public var roundTripMs: Double?
    /// Whether the session accepts nothing new.
    public var isDraining: Bool
    /// Whether the session has a WebSocket.
    public var hasCarrier: Bool
    /// The time since which it has none; nil while it has one.
    public var withoutSince: Date?
    /// The time since which its first lane has the present one; nil without one.
    public var carrierSince: Date?
    /// The time when bytes of the client have last come.
    public var lastSeen: Date?
    /// Why it has lost a WebSocket for the last time; nil if it has lost none.
    public var lastLoss: String?
    /// The time of that loss.
    public var lastLossAt: Date?
    /// WebSockets that the session has had, with the present ones.
    public var carriers: Int
    /// How often the session has continued on another WebSocket.
    public var resumes: Int
    /// Streams that live.
    public var streams: Int
    /// Bytes from visitors that wait for the WebSocket.
    public var queuedBytes: Int
    /// Bytes from the client that wait for visitors' sockets.
    public var bufferedBytes: Int
    /// Bytes that its visitors, and the client's programs at destinations, have sent.
    public var bytesToService: Int
    /// Bytes that were sent to them.
    public var bytesToVisitor: Int
    /// The lanes, each with one WebSocket.
    public var lanes: [LaneStatus] = []
    /// The session's tunnels.
    public var tunnels: [TunnelStatus]
    /// The visitors of all its tunnels, and its connections to destinations.
    public var visitors: [VisitorStatus]
    /// The last of these connections that have ended, the latest first. Those of visitors stand with their tunnels.
    public var endings: [EndingStatus] = []
}

/// A client whose last session has ended.
public struct GoneClientStatus: Codable, Sendable, Hashable {
    /// The operator's name for the client.
    public var client: String
    /// The operator's name for the client, and after a slash the client's own name for itself, if it has one.
    public var name: String
    /// The address that the last carrier has come from.
    public var peer: String
    /// The front that has named that address; nil without one.
    public var front: String?
    /// The client's software and its version.
    public var software: String
    /// The time when the session began.
    public var since: Date
    /// The time when it ended.
    public var goneSince: Date
    /// Why it ended.
    public var reason: String
    /// The places that were public.
    public var places: [String]
}

/// The facts of a session that do not change.
struct SessionFacts: Sendable {
    /// The session's number, counted from 1 since the server's start.
    let number: Int
    /// The operator's name for the client.
    let client: String
    /// The operator's name for the client, and after a slash the client's own name for itself, if it has one.
    let name: String
    /// The software that the client reports.
    let software: String
    /// The version of the session protocol.
    let version: UInt16
    /// The fingerprint of the server's key with which the session is sealed; nil if it is not.
    var sealedWith: String?
    /// The time when the session began, in seconds since 1970.
    let since = WallClock.unixSeconds

    /// Whether a name of the operator's choice matches this session.
    func matches(_ name: String) -> Bool {
        name == client || name == self.name
    }
}
