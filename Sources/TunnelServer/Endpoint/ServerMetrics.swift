import Metrics
import Mux
import TunnelCore

/// The metrics of a server, beside ``TunnelMetrics``. No label's value comes from a peer.
final class ServerMetrics: Sendable {
    private let unknownSessions: Counter
    private let refusedVisitors: [VisitorRefusal: Counter]
    private let refusedDestinations: [DestinationRefusal: Counter]
    private let handshakeFailures: [HandshakeFailure: Counter]
    private let handshakes: Meter
    let reloads: ReloadMetrics
    let certificates: CertificateMetrics
    let clients: ClientSeries
    let requests: RequestSeries

    /// Creates all of them, so that counters are 0 before the first event.
    init(factory: any MetricsFactory = MetricsSystem.factory) {
        func counter(_ label: String, _ reason: String) -> Counter {
            Counter(label: label, dimensions: [("reason", reason)], factory: factory)
        }
        unknownSessions = Counter(label: "culvert_unknown_sessions_total", factory: factory)
        refusedVisitors = Dictionary(
            uniqueKeysWithValues: VisitorRefusal.allCases.map { reason in
                (reason, counter("culvert_refused_visitors_total", reason.label))
            }
        )
        refusedDestinations = Dictionary(
            uniqueKeysWithValues: DestinationRefusal.allCases.map { reason in
                (reason, counter("culvert_refused_destinations_total", reason.rawValue))
            }
        )
        handshakeFailures = Dictionary(
            uniqueKeysWithValues: HandshakeFailure.allCases.map { reason in
                (reason, counter("culvert_handshake_failures_total", reason.rawValue))
            }
        )
        handshakes = Meter(label: "culvert_handshakes", factory: factory)
        reloads = ReloadMetrics(factory: factory)
        certificates = CertificateMetrics(factory: factory)
        clients = ClientSeries(factory: factory)
        requests = RequestSeries(factory: factory)
    }

    /// Counts a carrier whose RESUME names an unknown session.
    func resumedUnknownSession() { unknownSessions.increment() }

    /// Counts a visitor that was reset before it got a stream.
    func refused(_ reason: VisitorRefusal) { refusedVisitors[reason]?.increment() }

    /// Counts a stream to a destination that was not connected.
    func refused(_ reason: DestinationRefusal) { refusedDestinations[reason]?.increment() }

    /// Counts a connection that led to no session.
    func failed(_ reason: HandshakeFailure) { handshakeFailures[reason]?.increment() }

    /// Sets the number of connections that have not proved themselves.
    func publish(handshakes count: Int) { handshakes.set(count) }
}

/// A reason for which a stream to a destination was not connected.
enum DestinationRefusal: String, Sendable, CaseIterable {
    /// The client's rights do not list it.
    case notAllowed = "not_allowed"
    /// It refused the connection, or cannot be reached.
    case unreachable
    /// The client opens streams too fast, or the server is short of something.
    case busy

    init(_ code: ResetCode) {
        switch code {
        case .notAllowed: self = .notAllowed
        case .busy: self = .busy
        default: self = .unreachable
        }
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
    /// The path has altered the request of a sealed session, or an answer to it.
    case altered
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
        case .unhealthy: "unhealthy"
        case .tooMany: "too_many"
        case .tooFast: "too_fast"
        case .noStreams: "no_streams"
        case .noShare: "no_share"
        case .noMemory: "no_memory"
        }
    }
}
