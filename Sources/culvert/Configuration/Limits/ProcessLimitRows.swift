/// Limits of a process, and of a client's dials.
extension LimitTable {
    static let memory: [Limit] = [
        .both(
            "memory",
            .bytes(\.memory, 16 << 20...1 << 40),
            "Memory of all sessions, if neither the cgroup's limit nor the machine's memory is known",
            "less would refuse ordinary work"
        ),
        .server(
            "reserved_descriptors",
            .count(\.serverLimits.reservedDescriptors, 1...10_000),
            "Descriptors that visitors leave free, at most half of all",
            "clients, their ports and the operator need some, and the rest must suffice for visitors"
        ),
        .both(
            "drain_time",
            .time(\.drainTimeout, .seconds(1) ... .seconds(86_400)),
            "Time for running streams after the signal to stop",
            "a stream needs time to end, and a stop must come to an end"
        ),
    ]

    static let dialling: [Limit] = [
        .client(
            "hop_timeout",
            .time(\.clientLimits.hopTimeout, .seconds(1) ... .seconds(120)),
            "Time of each hop of a dial",
            "proxies take seconds, and a dead path must be given up"
        ),
        .client(
            "service_timeout",
            .time(\.clientLimits.serviceTimeout, .milliseconds(100) ... .seconds(60)),
            "Time to connect to a service",
            "the visitor waits meanwhile, and the server gives up after its `open_timeout`"
        ),
    ]

    static let administration: [Limit] = [
        .both(
            "admin_connections",
            .count(\.admin.connections, 1...10_000),
            "Connections",
            "each connection costs a socket, and scrapers are few"
        ),
        .both(
            "admin_timeout",
            .time(\.admin.timeout, .seconds(1) ... .seconds(120)),
            "Time for a request's head, and again for its answer",
            "an operator is near, and a silent connection holds a place"
        ),
    ]

    static let log: [Limit] = [
        .server(
            "stranger_log_lines",
            .count(\.serverLimits.logLines, 1...100_000),
            "Lines of one kind in ten seconds that strangers cause",
            "strangers must not be able to fill a disk"
        ),
        .both(
            "visitor_log_lines",
            .count(\.visitorLogLines, 1...1_000_000),
            "Lines about ended streams in ten seconds",
            "visitors cause the lines, and each has some hundred bytes"
        ),
    ]
}
