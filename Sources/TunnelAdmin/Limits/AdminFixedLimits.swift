import HTTP1
import TunnelCore

/// Fixed bounds of the operator's server.
extension FixedLimit {
    package static let administration: [FixedLimit] = [
        FixedLimit(
            "Connections from one address of TCP, or one /64 of IPv6",
            .count(AdminLimits().connectionsPerAddress),
            "a quarter of `admin_connections`: one address must not keep the operator out"
        ),
        FixedLimit(
            "Connections that wait to be accepted",
            .count(Int(UnixListener.backlog)),
            "all `admin_connections` may come at once"
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
            "it is more than both halves of a name may have"
        ),
        FixedLimit(
            "Time without an iteration after which an event loop counts as stuck",
            .time(EventLoopMonitor.patience),
            "nothing that a loop does takes a tenth of it"
        ),
    ]
}
