import TunnelCore

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The state of one of a session's lanes, each of which has one WebSocket. Its JSON has keys in snake case.
public struct LaneStatus: Codable, Sendable, Hashable {
    /// The lane's number.
    public var number: Int
    /// The time since which it has its WebSocket; nil without one.
    public var since: Date?
    /// Bytes a second that the path has delivered from this end lately; nil if that is not known.
    public var rate: Int?
    /// The last round trip of a ping, in milliseconds; nil before the first.
    public var roundTripMs: Double?
    /// Segments that this end's kernel has sent again; nil if the kernel does not report it.
    public var retransmittedSegments: Int?
    /// Bytes that were sent and that the other end has not acknowledged.
    public var unacknowledgedBytes: Int
    /// Bytes that the lane has carried in both directions.
    public var bytes: Int
    /// At a client: why the lane was opened; nil for the first one.
    public var reason: String?
    /// At a client: the proxy on the way, without its password; nil for none.
    public var proxy: String?
    /// At a server: the address that the WebSocket comes from.
    public var peer: String?

    /// Takes the figures of a lane.
    ///
    /// - Parameter since: the time since which it has its carrier.
    package init(_ state: SessionLoop.LaneState, since: Date?) {
        number = Int(state.lane.rawValue)
        self.since = since
        // The rate is an estimate, and 0 before the first one. So a bound far above any path makes no difference.
        rate = state.rate > 0 ? Int(min(state.rate, Self.highestRate).rounded()) : nil
        roundTripMs = state.roundTrip?.milliseconds
        retransmittedSegments = state.retransmitted.map { Int($0) }
        unacknowledgedBytes = state.unacknowledged
        bytes = Int(clamping: state.moved)
    }

    /// Bytes a second above which an estimate is not shown as it is.
    private static let highestRate = 1e15
}
