import HTTP1
import TunnelAdmin
import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// What a running client says of itself: the answer to `GET /status`.
public struct ClientStatus: Codable, Sendable, Hashable {
    /// `client`, to tell it from a server's.
    public var role = "client"
    /// The release that runs.
    public var version = culvertVersion
    /// When the client was started.
    public var started: Date
    /// The moment of this answer.
    public var now: Date
    /// Whether the client is connected, and if not, since when and why.
    public var connection: ConnectionStatus
    /// The session with a server; nil while there is none.
    public var session: ClientSessionStatus?
    /// Since the start.
    public var totals: TotalStatus
}

/// How a client's connection to a server stands.
public struct ConnectionStatus: Codable, Sendable, Hashable {
    /// Whether there is a WebSocket.
    public var isConnected: Bool
    /// Since when there is none; nil while there is one.
    public var withoutSince: Date?
    /// The last failed dial or lost WebSocket of this run, in one line.
    public var lastError: String?
    /// When that was.
    public var lastErrorAt: Date?
    /// When the next dial begins; nil while one is running, and while none is needed.
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
    /// When the session began.
    public var since: Date
    /// The last time from a ping to its answer, in milliseconds; nil before the first.
    public var roundTripMs: Double?
    /// Whether it takes nothing new.
    public var isDraining: Bool
    /// Whether there is a WebSocket under it.
    public var hasCarrier: Bool
    /// WebSockets that it has had, with the present one.
    public var carriers: Int
    /// Streams that live.
    public var streams: Int
    /// Bytes from services that wait for the WebSocket.
    public var queuedBytes: Int
    /// Bytes from the server that wait for services' sockets.
    public var bufferedBytes: Int
    /// The tunnels that were asked for.
    public var tunnels: [TunnelStatus]
    /// The visitors of all of them.
    public var visitors: [VisitorStatus]
}
