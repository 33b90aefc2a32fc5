/// Limits of a server for those that no client is: visitors of public ports, and requests for the backend.
extension LimitTable {
    static let visitors: [Limit] = [
        .server(
            "ports_per_client",
            .count(\.serverLimits.portsPerClient, 1...65_535),
            "Public ports of one client, over all its sessions",
            "a machine has no more ports, and other clients want some"
        ),
        .server(
            "visitors_per_second",
            .count(\.serverLimits.visitorsPerSecond, 1...1_000_000),
            "New visitors of one port in a second",
            "each visitor costs the client a connection to its service"
        ),
        .server(
            "public_listen_queue",
            .count(\.serverLimits.publicListenQueue, 1...65_535),
            "Visitors that wait for one port to accept them",
            "a burst must fit while the session has no room, and the kernel cuts the queue to its somaxconn"
        ),
        .server(
            "waiting_visitors",
            .count(\.serverLimits.waitingVisitors, 1...100_000),
            "Accepted visitors of a session without a free stream or a WebSocket",
            "each visitor costs a socket, and further ones wait in the listen queue"
        ),
        .server(
            "waiting_time",
            .time(\.serverLimits.waitingTime, .seconds(1) ... .seconds(600)),
            "Time that a visitor waits for a WebSocket",
            "a proxy that restarts takes less, and a person gives up"
        ),
        .server(
            "stream_waiting_time",
            .time(\.serverLimits.waitingTimeForStream, .milliseconds(100) ... .seconds(60)),
            "Time that a visitor waits for a stream while all are used",
            "a page that loads closes some streams soon, and silence helps no visitor"
        ),
    ]

    static let requests: [Limit] = [
        .server(
            "http_head",
            .bytes(\.serverLimits.visitorHead.maximumBytes, 1 << 10...256 << 10),
            "Head of a request for a host name, and its trailer fields",
            "cookies and tokens of several applications under one domain must fit"
        ),
        .server(
            "http_line",
            .bytes(\.serverLimits.visitorHead.maximumLineBytes, 512...256 << 10),
            "Line of such a head",
            "the longest cookie and the longest target must fit"
        ),
        .server(
            "http_fields",
            .count(\.serverLimits.visitorHead.maximumFields, 8...1_000),
            "Fields of such a head",
            "a browser sends twenty, and fronts add theirs"
        ),
        .server(
            "http_head_timeout",
            .time(\.serverLimits.visitorHeadTimeout, .seconds(1) ... .seconds(120)),
            "Time for such a head, and for a visitor's TLS handshake",
            "a slow path takes seconds, and a silent visitor holds a socket meanwhile"
        ),
        .server(
            "http_keep_alive",
            .time(\.serverLimits.visitorKeepAlive, .seconds(1) ... .seconds(3_600)),
            "Time that a visitor's connection waits for its next request",
            "a person reads a page meanwhile"
        ),
        .server(
            "http_body_silence",
            .time(\.serverLimits.visitorIdle, .seconds(1) ... .seconds(3_600)),
            "Silence of a visitor within a request's body",
            "a stalled upload holds a stream"
        ),
        .server(
            "http_answer",
            .time(\.serverLimits.visitorAnswer, .seconds(1) ... .seconds(86_400)),
            "Time for a service to begin its answer",
            "a slow report must fit, and a person gives up"
        ),
        .server(
            "http_connections",
            .count(\.serverLimits.visitorConnections, 1...1_000_000),
            "Connections of visitors to host names",
            "each connection costs a socket, and with TLS some ten KiB"
        ),
    ]

    static let backend: [Limit] = [
        .server(
            "backend_connections",
            .count(\.serverLimits.backendConnections, 1...100_000),
            "Connections handed on to the backend",
            "each connection costs two sockets"
        ),
        .server(
            "backend_body",
            .time(\.serverLimits.backendBody, .seconds(1) ... .seconds(86_400)),
            "Time for the body of a request",
            "a slow upload must fit, and a stranger holds a place meanwhile"
        ),
        .server(
            "backend_answer",
            .time(\.serverLimits.backendAnswer, .seconds(1) ... .seconds(3_600)),
            "Time until an answer begins",
            "a stranger waits meanwhile, and holds a place"
        ),
        .server(
            "backend_idle",
            .time(\.serverLimits.backendIdle, .seconds(1) ... .seconds(3_600)),
            "Silence that ends a connection",
            "a page may take seconds, and a silent connection holds a place"
        ),
        .server(
            "backend_total",
            .time(\.serverLimits.backendTotal, .seconds(10) ... .seconds(604_800)),
            "Time of a connection in all",
            "a large download must fit, and a stranger holds a place meanwhile"
        ),
    ]
}
