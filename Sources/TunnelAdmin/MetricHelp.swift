/// The help texts of all metrics, for backends that need them. swift-metrics has no help texts.
public enum MetricHelp {
    /// The texts by the metrics' names.
    public static let texts: [String: String] = [
        "culvert_sessions": "Sessions that live now.",
        "culvert_carriers": "WebSockets of these sessions.",
        "culvert_streams": "Streams that live now.",
        "culvert_tunnels": "Tunnels that are public now.",
        "culvert_handshakes": "Connections that are not authenticated.",
        "culvert_queued_bytes": "Bytes from sockets that wait for a WebSocket.",
        "culvert_buffered_bytes": "Bytes from WebSockets that wait for sockets.",
        "culvert_memory_bytes": "Bytes that sessions hold, as the budget counts them.",
        "culvert_memory_limit_bytes": "Bytes that sessions may hold.",
        "culvert_ping_interval_seconds": "Time between two pings, as measured for the path.",
        "culvert_without_carrier_seconds": "Time since a client lost its WebSocket; 0 with one.",
        "culvert_next_dial_seconds": "Time until a client dials again; 0 if it dials now or is connected.",
        "culvert_sessions_total": "Sessions that were opened.",
        "culvert_dropped_datagrams_total": "Datagrams of UDP flows that were dropped, by reason.",
        "culvert_lost_carriers_total": "WebSockets that were lost by sessions that continued.",
        "culvert_resumes_total": "Sessions that continued with another WebSocket.",
        "culvert_unknown_sessions_total":
            "WebSockets for unknown sessions, for example after a restart.",
        "culvert_streams_total": "Streams that have ended.",
        "culvert_reset_streams_total": "Streams that have ended by a reset.",
        "culvert_bytes_total": "Bytes that were carried, by direction.",
        "culvert_refused_visitors_total": "Visitors that were reset before they got a stream, by reason.",
        "culvert_refused_destinations_total": "Streams to destinations that were not connected, by reason.",
        "culvert_handshake_failures_total": "Connections to the endpoint that led to no session, by reason.",
        "culvert_failed_dials_total": "Dials that led to no session, by the hop that failed.",
        "culvert_round_trip_seconds": "Time from a ping to its answer.",
        "culvert_event_loop_lag_seconds": "Delay of the task that each event loop runs once a second.",
        "process_resident_memory_bytes": "Resident memory in bytes.",
        "process_open_fds": "Open file descriptors.",
        "process_max_fds": "Limit of open file descriptors.",
    ]
}
