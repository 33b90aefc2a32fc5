import Metrics
import TunnelCore

/// What a server counts beside ``TunnelMetrics``. No label's value comes from a peer.
enum ServerMetrics {
    /// Carriers for sessions that were not known.
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

    /// A visitor was reset at the door.
    static func refused(_ reason: VisitorRefusal) { refusedVisitors[reason]?.increment() }

    /// A stranger's connection led to no session.
    static func failed(_ reason: HandshakeFailure) { handshakeFailures[reason]?.increment() }

    /// Makes all counters of a server exist, so that they are 0 before the first event.
    static func prepare() {
        _ = (refusedVisitors, handshakeFailures, unknownSessions)
    }
}

/// Why a connection to the endpoint led to no session.
enum HandshakeFailure: String, Sendable, CaseIterable {
    /// There is no place for further strangers, or for another session of the client.
    case busy
    /// The first bytes were no HTTP.
    case notHTTP = "not_http"
    /// A request, but none that opens one of our WebSockets.
    case request
    /// No request within the time for it.
    case timeout
    /// Unknown, or a wrong proof.
    case credentials
    /// A client that is disabled, or whose time is over.
    case rights
    /// The process is short of memory.
    case memory
    /// The server is stopping.
    case stopping
    /// The peer broke the rules of the opening.
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
