import Metrics
import TunnelCore

/// The counters of a server, beside ``TunnelMetrics``. No label's value comes from a peer.
enum ServerMetrics {
    /// Carriers whose RESUME names an unknown session.
    static let unknownSessions = Counter(label: "culvert_unknown_sessions_total")

    private static let refusedVisitors = Dictionary(
        uniqueKeysWithValues: VisitorRefusal.allCases.map { reason in
            (reason, Counter(label: "culvert_refused_visitors_total", dimensions: [("reason", reason.label)]))
        }
    )
    private static let handshakeFailures = Dictionary(
        uniqueKeysWithValues: HandshakeFailure.allCases.map { reason in
            (reason, Counter(label: "culvert_handshake_failures_total", dimensions: [("reason", reason.rawValue)]))
        }
    )

    /// Counts a visitor that was reset before it got a stream.
    static func refused(_ reason: VisitorRefusal) { refusedVisitors[reason]?.increment() }

    /// Counts a connection that led to no session.
    static func failed(_ reason: HandshakeFailure) { handshakeFailures[reason]?.increment() }

    /// Creates all counters of a server, so that they are 0 before the first event.
    static func prepare() {
        TunnelMetrics.prepare()
        _ = (refusedVisitors, handshakeFailures, unknownSessions)
    }
}

/// A reason for which a connection to the endpoint led to no session.
enum HandshakeFailure: String, Sendable, CaseIterable {
    /// No slot is free, or the client has reached its limit of sessions.
    case busy
    /// The first bytes were not HTTP.
    case notHTTP = "not_http"
    /// The request opens no tunnel WebSocket.
    case request
    /// The request did not arrive in time.
    case timeout
    /// The client is unknown, or its proof is wrong.
    case credentials
    /// The client is disabled, or its access has expired.
    case rights
    /// The process is short of memory.
    case memory
    /// The server is stopping.
    case stopping
    /// The peer broke the rules of the handshake.
    case violation
    /// The connection ended before the proof.
    case gone
}

extension VisitorRefusal {
    fileprivate var label: String {
        switch self {
        case .denied: "denied"
        case .tooMany: "too_many"
        case .tooFast: "too_fast"
        case .noStreams: "no_streams"
        case .noShare: "no_share"
        case .noMemory: "no_memory"
        }
    }
}
