import Tunnel

/// Limits of forwards: of a client's local connections, and of a server's connections to destinations.
extension LimitTable {
    static let forwards: [Limit] = [
        .server(
            "forwards_per_second",
            .count(\.serverLimits.forwardsPerSecond, 1...100_000),
            "Streams in a second that one client may open to destinations, and half of those at once",
            "a browser opens a hundred for one page, and each costs a lookup and a connection"
        ),
        .server(
            "forward_timeout",
            .time(\.serverLimits.forwardTimeout, .milliseconds(100) ... .seconds(60)),
            "Time to connect to a destination",
            "the client waits meanwhile, and gives up after its `open_timeout`"
        ),
        .client(
            "waiting_connections",
            .count(\.clientLimits.waitingConnections, 1...100_000),
            "Accepted connections of local ports without a stream",
            "each connection costs a socket, and further ones wait in the listen queue"
        ),
        .client(
            "connection_waiting_time",
            .time(\.clientLimits.waitingTime, .seconds(1) ... .seconds(600)),
            "Time that a connection waits for a session or a stream",
            "a proxy that restarts takes less, and a program gives up"
        ),
        .both(
            "flows_per_port",
            .count(\.flows.perPort, 1...100_000),
            "UDP flows of one port",
            "each costs a stream, and a socket at the other end; at the limit old ones give way, those without an answer first"
        ),
        .both(
            "flows_per_second",
            .count(\.flows.perSecond, 1...100_000),
            "New UDP flows in a second of one port, and half of them from one address; at a server also of one client to destinations",
            "a resolver uses a new port for each request"
        ),
        .both(
            "flow_idle",
            .time(\.flows.silence, .seconds(1) ... .seconds(3_600)),
            "Silence that ends a UDP flow",
            "a lookup is over by then"
        ),
        .both(
            "flow_idle_answered",
            .time(\.flows.answeredSilence, .seconds(1) ... .seconds(3_600)),
            "Silence that ends a UDP flow whose both sides have sent for two seconds",
            "programs keep a conversation alive more often (RFC 4787, section 4.3)"
        ),
    ]
}
