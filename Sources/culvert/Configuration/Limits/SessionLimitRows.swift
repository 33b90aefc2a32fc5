import Mux

/// Limits of a session, its bytes and its WebSockets.
extension LimitTable {
    static let sessions: [Limit] = [
        .both(
            "tunnels",
            .count(\.session.tunnels, 1...1_000),
            "Tunnels",
            "each tunnel costs the server a listening socket or more"
        ),
        .both(
            "streams",
            .count(\.session.streams, 1...1_000_000),
            "Streams",
            "each stream costs a socket at both ends"
        ),
        .both(
            "unaccepted_streams",
            .count(\.session.opening, 1...100_000),
            "Streams that are open and not accepted",
            "for each of them the client connects to a service"
        ),
        .server(
            "open_timeout",
            .time(\.limits.openTimeout, .seconds(1) ... .seconds(120)),
            "Time to accept a stream",
            "the client connects to its service meanwhile, and the visitor waits"
        ),
        .both(
            "waiting_control",
            .count(\.session.waitingControl, 100...4_000_000),
            "Control frames that wait",
            "streams that end together report it together, and a peer that does not read must not fill the memory"
        ),
        .server(
            "binds_in_ten_seconds",
            .count(\.limits.bindsInTenSeconds, 10...100_000),
            "BIND frames in ten seconds",
            "a client asks again for ports that are taken, and each request costs system calls"
        ),
        .both(
            "pings_in_ten_seconds",
            .count(\.pingsInTenSeconds, MuxLimits.leastPings...10_000),
            "Pings of the peer in ten seconds, the session's and the WebSocket's apart",
            "the peer may ping every second, and less would end its session"
        ),
        .both(
            "odd_events_in_ten_seconds",
            .count(\.session.glitchesInTenSeconds, 10...1_000_000),
            "Odd but legal events in ten seconds",
            "frames that cross on the way are no attack"
        ),
        .both(
            "ping_interval",
            .time(\.session.pingInterval, .seconds(1) ... .seconds(3_600)),
            "Time between two pings",
            "each ping is traffic, and a long silence hides a dead session"
        ),
        .both(
            "ping_timeout",
            .time(\.session.pingTimeout, .milliseconds(500) ... .seconds(300)),
            "Time to answer a ping",
            "a slow path needs its time, and a dead one must be noticed"
        ),
        .both(
            "ack_patience",
            .time(\.session.ackPatience, .milliseconds(100) ... .seconds(60)),
            "Time without an ACK before the peer is pinged",
            "the peer acknowledges within its delay of an ACK, and a slow path needs its time"
        ),
        .both(
            "reset_timeout",
            .time(\.session.resetPatience, .milliseconds(100) ... .seconds(60)),
            "Time for a stream's last bytes before its reset",
            "a peer or a socket that takes nothing holds a stream for as long"
        ),
        .both(
            "grace",
            .time(\.session.grace, .seconds(1) ... .seconds(86_400)),
            "Time without a WebSocket, streams and ports kept",
            "a client needs the time to dial, and holds streams and ports meanwhile"
        ),
        .server(
            "sessions_per_client",
            .count(\.serverLimits.sessionsPerClient, 1...1_000_000),
            "Sessions of one client",
            "each session may hold ports and memory, also while it waits for a WebSocket"
        ),
        .server(
            "carriers_per_session",
            .count(\.serverLimits.carriersPerSession, 1...64),
            "WebSockets of one session at a time",
            "each costs a socket and buffers, and a client uses up to five by default"
        ),
    ]

    static let sessionBytes: [Limit] = [
        .both(
            "initial_window",
            .bytes(\.session.initialWindow, 16 << 10...16 << 20),
            "Window of a new stream",
            "a frame must fit, and all streams may use their windows at once"
        ),
        .both(
            "widest_window",
            .bytes(\.session.maximumWindow, 16 << 10...1 << 30),
            "Widest window of a stream",
            "a frame must fit, and a window beyond the path's own bytes only fills memory"
        ),
        .both(
            "received_bytes",
            .bytes(\.session.bufferedBytes, 1 << 20...64 << 30),
            "Received bytes that no socket has taken",
            "the windows of some streams must fit"
        ),
        .both(
            "queued_per_stream",
            .bytes(\.session.queuedPerStream, 16 << 10...16 << 20),
            "Bytes of one stream that wait for the WebSocket",
            "a frame must fit, and bytes that wait arrive late"
        ),
        .both(
            "queued_bytes",
            .bytes(\.session.queuedBytes, 1 << 20...64 << 30),
            "Bytes of all streams that wait for the WebSocket",
            "what the kernel holds for a socket that ends must fit"
        ),
        .both(
            "replay_bytes",
            .bytes(\.session.replayBytes, 256 << 10...1 << 30),
            "Frames kept until they are acknowledged",
            "the bytes on the way must fit, and a full buffer stops sending"
        ),
    ]

    static let carriers: [Limit] = [
        .both(
            "fragments",
            .count(\.carrier.fragments, 1...10_000),
            "Fragments of a WebSocket message",
            "middleboxes cut a message into few fragments, and each costs more than its bytes"
        )
    ]
}
