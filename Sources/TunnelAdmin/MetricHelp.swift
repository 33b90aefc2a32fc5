/// What each metric means, in a sentence: for a backend that wants one, since swift-metrics carries none.
public enum MetricHelp {
    /// The sentences, by the metrics' names.
    public static let texts: [String: String] = [
        "culvert_sessions": "Sessions that stand now.",
        "culvert_carriers": "WebSockets under these sessions.",
        "culvert_streams": "Streams that live now.",
        "culvert_tunnels": "Tunnels that are public now.",
        "culvert_handshakes": "Connections that have not proved who they are.",
        "culvert_queued_bytes": "Bytes from sockets that wait for a WebSocket.",
        "culvert_buffered_bytes": "Bytes from WebSockets that wait for sockets.",
        "culvert_memory_bytes": "Bytes that sessions hold, as the budget counts them.",
        "culvert_memory_limit_bytes": "Bytes that they may hold.",
        "culvert_ping_interval_seconds": "Time between two pings, as the path has taught it.",
        "culvert_without_carrier_seconds": "How long a client has been without a WebSocket; 0 with one.",
        "culvert_next_dial_seconds": "Time until a client dials again; 0 if it dials now or is connected.",
        "culvert_sessions_total": "Sessions that were opened.",
        "culvert_lost_carriers_total": "WebSockets that were lost under sessions that went on.",
        "culvert_resumes_total": "Sessions that went on with another WebSocket.",
        "culvert_unknown_sessions_total":
            "WebSockets for sessions that are not known here, after a restart for instance.",
        "culvert_streams_total": "Streams that have ended.",
        "culvert_reset_streams_total": "Streams that have ended by a reset.",
        "culvert_bytes_total": "Bytes that were carried, by direction.",
        "culvert_refused_visitors_total": "Visitors that were reset at the door, by reason.",
        "culvert_handshake_failures_total": "Connections to the endpoint that led to no session, by reason.",
        "culvert_failed_dials_total": "Dials that led to no session, by the hop that failed.",
        "culvert_round_trip_seconds": "Time from a ping to its answer.",
        "culvert_event_loop_lag_seconds": "How late a task runs that each event loop has once a second.",
        "process_resident_memory_bytes": "Resident memory in bytes.",
        "process_open_fds": "Open file descriptors.",
        "process_max_fds": "File descriptors that may be open.",
    ]
}
