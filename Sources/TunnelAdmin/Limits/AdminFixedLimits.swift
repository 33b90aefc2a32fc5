import HTTP1
import TunnelCore

/// Fixed limits of the admin server.
extension FixedLimit {
    package static let administration: [FixedLimit] = [
        FixedLimit(
            "Connections from one address of TCP, or one /64 of IPv6",
            .count(AdminLimits().connectionsPerAddress),
            "a quarter of `admin_connections`, so that one address does not keep the operator out"
        ),
        FixedLimit(
            "Connections that wait to be accepted",
            .count(Int(UnixListener.backlog)),
            "all `admin_connections` may arrive at once"
        ),
        FixedLimit(
            "Head of a request",
            .bytes(AdminConnection.limits.maximumBytes),
            "scrapers and probes send little"
        ),
        FixedLimit("Fields of a request", .count(AdminConnection.limits.maximumFields), "scrapers send few"),
        FixedLimit("Line of a request", .bytes(AdminConnection.limits.maximumLineBytes), "a target is short"),
        FixedLimit(
            "Length of a client's name in a request",
            .bytes(AdminRouter.longestName),
            "it is longer than both halves of a name together"
        ),
        FixedLimit(
            "Time without an iteration after which an event loop counts as stuck",
            .time(EventLoopMonitor.timeout),
            "no work on a loop takes a tenth of it"
        ),
    ]
}
