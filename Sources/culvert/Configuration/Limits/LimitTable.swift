import EtcdStore
import Tunnel
import TunnelCore
import TunnelServer

/// The table of all limits, by theme. `[limits]` of a configuration is read by it, and a test compares the page Limits,
/// the sample configurations and the ranges with it.
struct LimitTable {
    /// The roles that have a theme's keys, unless a row has fewer.
    enum Role: Sendable {
        case server
        case client
        case both
    }

    /// One table of the page.
    struct Theme: Sendable {
        let title: String
        let role: Role
        let rows: [Limit]

        init(_ title: String, _ role: Role, _ keys: [Limit], fixed: [FixedLimit]) {
            self.title = title
            self.role = role
            rows = keys + fixed.map { Limit($0) }
        }
    }

    static let themes = [
        Theme("Before a client has proved itself", .server, strangers, fixed: FixedLimit.strangers),
        Theme("Sessions", .both, sessions, fixed: FixedLimit.sessions),
        Theme("Bytes of a session", .both, sessionBytes, fixed: FixedLimit.sessionBytes),
        Theme("WebSockets", .both, carriers, fixed: FixedLimit.carriers),
        Theme("Visitors", .server, visitors, fixed: FixedLimit.visitors),
        Theme("Visitors of host names", .server, requests, fixed: FixedLimit.requests),
        Theme(
            "Forwards",
            .both,
            forwards,
            fixed: FixedLimit.destinations + FixedLimit.lookups + FixedLimit.localPorts
                + FixedLimit.flows
        ),
        Theme("Clusters", .server, [], fixed: FixedLimit.claims + FixedLimit.peers + FixedLimit.etcd),
        Theme("Certificates by ACME", .server, [], fixed: FixedLimit.acme + FixedLimit.acmeOrders),
        Theme("Requests for the backend", .server, backend, fixed: FixedLimit.backend),
        Theme("Memory and descriptors", .both, memory, fixed: FixedLimit.memory),
        Theme("Dialling", .client, dialling, fixed: FixedLimit.dialling),
        Theme("Proxies", .client, [], fixed: FixedLimit.proxies + FixedLimit.proxyScripts),
        Theme("Health checks", .client, [], fixed: FixedLimit.health),
        Theme("Reconnecting", .client, [], fixed: FixedLimit.reconnecting + FixedLimit.carrierAges),
        Theme("Several WebSockets of a session", .client, [], fixed: FixedLimit.lanes),
        Theme("Name lookups", .both, [], fixed: FixedLimit.names),
        Theme(
            "Administration",
            .both,
            administration,
            fixed: FixedLimit.administration + FixedLimit.kicks + FixedLimit.renewals + FixedLimit.operatorCommands
        ),
        Theme("The doctor", .both, [], fixed: FixedLimit.probes + FixedLimit.diagnosis),
        Theme("Log and output", .both, log, fixed: FixedLimit.log + FixedLimit.output),
        Theme("Files", .both, [], fixed: FixedLimit.certificates + FixedLimit.files),
    ]

    /// All rows.
    static let rows = themes.flatMap(\.rows)
}
