import Metrics

/// What is counted, for whatever backend the program that embeds us has chosen; the executable has none, and counting
/// costs nothing then.
enum TunnelMetrics {
    /// Sessions that were opened, at either end.
    static let sessions = Counter(label: "culvert_sessions_total")
    /// Clients that were refused for an unknown name or a wrong proof.
    static let refusedClients = Counter(label: "culvert_refused_clients_total")
    /// Dials that led to no session.
    static let failedDials = Counter(label: "culvert_failed_dials_total")
    /// Streams that have ended.
    static let streams = Counter(label: "culvert_streams_total")
    /// Of these, the ones that ended by a reset.
    static let resetStreams = Counter(label: "culvert_reset_streams_total")
    /// Bytes of ended streams that were read from their sockets.
    static let bytesFromSockets = Counter(label: "culvert_bytes_from_sockets_total")
    /// Bytes of ended streams that their sockets took.
    static let bytesToSockets = Counter(label: "culvert_bytes_to_sockets_total")

    /// Visitors that were reset at the door.
    static func refusedVisitors(_ reason: VisitorRefusal) -> Counter {
        Counter(label: "culvert_refused_visitors_total", dimensions: [("reason", "\(reason)")])
    }
}
