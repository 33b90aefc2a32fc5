import Metrics

/// What is counted, for whatever backend the program that embeds us has chosen; without one counting costs nothing.
///
/// Names follow Prometheus: counters end in `_total`, times are seconds. Gauges, and the bytes of streams that still
/// live, are brought up to date when the admin server is asked; the rest as it happens. No label's value comes from a
/// peer.
enum TunnelMetrics {
    /// Sessions that were opened, at either end.
    static let sessions = Counter(label: "culvert_sessions_total")
    /// Streams that have ended.
    static let streams = Counter(label: "culvert_streams_total")
    /// Of these, the ones that ended by a reset.
    static let resetStreams = Counter(label: "culvert_reset_streams_total")
    /// Bytes that visitors sent.
    static let bytesToServices = Counter(label: "culvert_bytes_total", dimensions: [("direction", "to_service")])
    /// Bytes that services sent.
    static let bytesToVisitors = Counter(label: "culvert_bytes_total", dimensions: [("direction", "to_visitor")])
    /// Carriers that were lost under a session that went on.
    static let lostCarriers = Counter(label: "culvert_lost_carriers_total")
    /// Sessions that went on with another carrier.
    static let resumes = Counter(label: "culvert_resumes_total")
    /// Carriers for sessions that were not known.
    static let unknownSessions = Counter(label: "culvert_unknown_sessions_total")
    /// The time from each PING to its PONG.
    static let roundTrip = Timer(label: "culvert_round_trip_seconds")

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
    private static let failedDials = Dictionary(
        uniqueKeysWithValues: DialError.Hop.allCases.map { hop in
            (hop, Counter(label: "culvert_failed_dials_total", dimensions: [("hop", hop.label)]))
        }
    )

    /// A visitor was reset at the door.
    static func refused(_ reason: VisitorRefusal) { refusedVisitors[reason]?.increment() }

    /// A stranger's connection led to no session.
    static func failed(_ reason: HandshakeFailure) { handshakeFailures[reason]?.increment() }

    /// A dial led to no session.
    static func failedDial(_ hop: DialError.Hop) { failedDials[hop]?.increment() }

    /// Makes all counters of a server exist, so that they are 0 before the first event.
    static func prepareServer() {
        prepare()
        _ = (refusedVisitors, handshakeFailures, unknownSessions)
    }

    /// The same for a client.
    static func prepareClient() {
        prepare()
        _ = failedDials
    }

    private static func prepare() {
        _ = (sessions, streams, resetStreams, bytesToServices, bytesToVisitors, roundTrip, lostCarriers, resumes)
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

extension DialError.Hop {
    fileprivate var label: String {
        String(rawValue.lowercased().map { $0 == " " ? "_" : $0 })
    }
}
