#if canImport(FoundationEssentials)
import TunnelCore
import TunnelAdmin
public import FoundationEssentials
#else
public import Foundation
#endif

/// What a running server says of itself to its operator: the answer to `GET /status`.
public struct ServerStatus: Codable, Sendable, Hashable {
    /// `server`, to tell it from a client's.
    public var role = "server"
    /// The release that runs.
    public var version = culvertVersion
    /// When the server was started.
    public var started: Date
    /// The moment of this answer.
    public var now: Date
    /// Whether clients and visitors are taken; false before it listens and while it stops.
    public var isAccepting: Bool
    /// Connections that have not proved who they are.
    public var handshakes: Int
    /// The clients that are there, in the order in which they came.
    public var sessions: [SessionStatus]
    /// Since the start.
    public var totals: TotalStatus
}

/// One client's session, as the server's operator sees it.
public struct SessionStatus: Codable, Sendable, Hashable {
    /// Its number, from 1 on since the server's start.
    public var number: Int
    /// The operator's name for the client.
    public var client: String
    /// That, and the client's name for itself behind a slash where it has one.
    public var name: String
    /// Where the connection comes from.
    public var peer: String
    /// The client's software and its release.
    public var software: String
    /// The version of the session protocol.
    public var version: Int
    /// When it began.
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
    /// Bytes from visitors that wait for the WebSocket.
    public var queuedBytes: Int
    /// Bytes from the client that wait for visitors' sockets.
    public var bufferedBytes: Int
    /// Its tunnels.
    public var tunnels: [TunnelStatus]
    /// The visitors of all of them.
    public var visitors: [VisitorStatus]
}

/// What is known of a session from its opening on.
struct SessionFacts: Sendable {
    /// From 1 on since the server's start.
    let number: Int
    /// The operator's name for the client.
    let client: String
    /// That, and the client's name for itself behind a slash where it has one.
    let name: String
    /// What the client says of its software.
    let software: String
    /// The version of the session protocol.
    let version: UInt16
    /// When the session began, in seconds since 1970.
    let since = WallClock.unixSeconds

    /// Whether an operator who says `name` means this session.
    func isMeant(by name: String) -> Bool {
        name == client || name == self.name
    }
}
