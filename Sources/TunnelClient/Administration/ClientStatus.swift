import HTTP1
import TunnelAdmin
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The status of a running client: the answer to `GET /status`.
public struct ClientStatus: Codable, Sendable, Hashable {
    /// `client`, which distinguishes it from a server's status.
    public var role = "client"
    /// The release of the client.
    public var version = culvertVersion
    /// The start of the client.
    public var started: Date
    /// The time of this answer.
    public var now: Date
    /// The connection to a server.
    public var connection: ConnectionStatus
    /// The session with a server; nil while there is none.
    public var session: ClientSessionStatus?
    /// The sessions with further servers, if the client keeps several and has them; nil without.
    public var furtherSessions: [ClientSessionStatus]?
    /// The forwards.
    public var forwards: [ForwardStatus] = []
    /// The connections of all forwards.
    public var connections: [VisitorStatus] = []
    /// The last connections of forwards that have ended, the latest first.
    public var endings: [EndingStatus] = []
    /// The totals since the start.
    public var totals: TotalStatus

    /// The sessions with all servers.
    public var sessions: [ClientSessionStatus] { (session.map { [$0] } ?? []) + (furtherSessions ?? []) }
}

/// The state of a client's connection to a server.
public struct ConnectionStatus: Codable, Sendable, Hashable {
    /// Whether there is a WebSocket.
    public var isConnected: Bool
    /// The time since which there is none; nil while there is one.
    public var withoutSince: Date?
    /// The last failed dial or lost WebSocket of this run, in one line.
    public var lastError: String?
    /// The time of that error.
    public var lastErrorAt: Date?
    /// The time of the next dial; nil while one is running, and while none is needed.
    public var nextTry: Date?
}

extension ConnectionStatus {
    init(_ facts: ClientProgress.Facts) {
        let date = { (seconds: Int64) in Date(timeIntervalSince1970: Double(seconds)) }
        isConnected = facts.withoutCarrierSince == nil
        withoutSince = facts.withoutCarrierSince.map(date)
        lastError = facts.lastError?.escapedForDisplay(limit: 1_024)
        lastErrorAt = facts.lastErrorAt.map(date)
        nextTry = facts.nextTry.map(date)
    }
}

/// A client's session with a server, as the client sees it.
public struct ClientSessionStatus: Codable, Sendable, Hashable {
    /// The server's URL.
    public var url: String
    /// The proxy on the way, without its password; nil for none.
    public var proxy: String?
    /// The server's software and its release.
    public var software: String
    /// The fingerprint of the server's key with which the session is sealed; nil if it is not.
    public var sealedWith: String?
    /// The beginning of the session.
    public var since: Date
    /// The last round trip of a ping, in milliseconds; nil before the first.
    public var roundTripMs: Double?
    /// Whether it accepts no new visitors.
    public var isDraining: Bool
    /// Whether the session has a WebSocket.
    public var hasCarrier: Bool
    /// The time since which its first lane has the present one; nil without one.
    public var carrierSince: Date?
    /// The time when bytes of the server have last come; nil without a WebSocket.
    public var lastSeen: Date?
    /// The WebSockets of the session so far, with the present one, without those of further lanes.
    public var carriers: Int
    /// How often the session has continued on another WebSocket.
    public var resumes: Int
    /// Open streams.
    public var streams: Int
    /// Bytes of services that wait for the WebSocket.
    public var queuedBytes: Int
    /// Bytes of the server that wait for the sockets of services.
    public var bufferedBytes: Int
    /// The lanes, each with one WebSocket.
    public var lanes: [LaneStatus] = []
    /// The requested tunnels.
    public var tunnels: [TunnelStatus]
    /// The visitors of all tunnels.
    public var visitors: [VisitorStatus]
}
