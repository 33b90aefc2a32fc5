import Tunnel
import TunnelServer

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The cluster on the page of a server.
extension StatusPage {
    /// The limit of servers of a cluster.
    static let maximumServers = 40

    private var cluster: (status: ClusterStatus, now: Date)? {
        guard case .server(let server) = status else { return nil }
        return server.cluster.map { ($0, server.now) }
    }

    /// The line about this server's part; nil without a cluster.
    var clusterLine: String? {
        guard let (cluster, now) = cluster else { return nil }
        var line = "cluster: server \(cluster.server), \(CompactNumber.count(cluster.claims, "claim"))"
        if cluster.waitingClaims > 0 { line += " and \(cluster.waitingClaims) not granted yet" }
        line += " in \(CompactNumber.count(cluster.leases, "lease"))"
        line += ", \(CompactNumber.count(cluster.portsOfOthers, "port")) of other servers"
        if cluster.unservedPorts > 0 { line += " (\(cluster.unservedPorts) cannot be bound here)" }
        guard !cluster.isStoreReachable else { return line + ", etcd answers" }
        line += ", etcd has not answered"
        if let since = cluster.storeSilentSince { line += " for \(age(since, now))" }
        return line + (cluster.lastStoreFailure.map { ": \($0)" } ?? "")
    }

    /// The servers of the cluster, and the number of those that the page leaves out.
    var servers: (TextTable, left: Int) {
        var table = TextTable([
            .init(title: "SERVER"), .init(title: "PEER URL"), .init(title: "RELEASE"),
            .init(title: "UP", alignment: .trailing), .init(title: "LINK"),
            .init(title: "STREAMS", alignment: .trailing),
        ])
        guard let (cluster, now) = cluster else { return (table, 0) }
        let shown = cluster.servers.prefix(Self.maximumServers)
        for server in shown {
            let isThis = server.id == cluster.server
            let state = server.isDraining ? " (draining)" : ""
            table.append([
                server.id + (isThis ? " (this one)" : "") + state, server.peerUrl, server.version,
                age(server.since, now), isThis ? "-" : server.isLinked ? "open" : "none",
                isThis ? "-" : "\(server.streams)",
            ])
        }
        return (table, cluster.servers.count - shown.count)
    }
}

/// Formats the clients of all servers of a cluster for people.
struct ClusterPage {
    /// The limit of clients on the page.
    static let maximumClients = 1_000
    /// The limit of places of one client.
    static let maximumPlaces = 8

    let clients: ClusterClients

    /// All lines.
    var lines: [String] {
        let servers = clients.servers
        let known = servers.reduce(0) { $0 + $1.sessions.count }
        let left = servers.reduce(0) { $0 + $1.sessionsLeftOut }
        var lines = [
            "\(CompactNumber.count(servers.count, "server")), \(CompactNumber.count(known + left, "session"))"
        ]
        for server in servers {
            guard let problem = server.problem else { continue }
            lines.append("server \(server.server) at \(server.peerUrl): \(problem)")
        }
        let (table, unseen) = table
        if !table.rows.isEmpty { lines += [""] + table.lines }
        if unseen > 0 { lines.append("and \(CompactNumber.count(unseen, "session")) more; --json has all") }
        if left > 0 { lines.append("\(CompactNumber.count(left, "session")) left out: a server has too many") }
        return lines
    }

    private var table: (TextTable, unseen: Int) {
        var table = TextTable([
            .init(title: "CLIENT"), .init(title: "SERVER"), .init(title: "FROM"), .init(title: "SOFTWARE"),
            .init(title: "FOR", alignment: .trailing), .init(title: "STREAMS", alignment: .trailing),
            .init(title: "TO SERVICE", alignment: .trailing), .init(title: "TO VISITOR", alignment: .trailing),
            .init(title: "PUBLIC"),
        ])
        let all = clients.servers.flatMap { server in server.sessions.map { (server: server, session: $0) } }
            .sorted { ($0.session.name, $0.server.server) < ($1.session.name, $1.server.server) }
        for (server, session) in all.prefix(Self.maximumClients) {
            table.append([
                session.name + (session.hasCarrier ? "" : " (no WebSocket)"),
                server.server + (server.isDraining ? " (draining)" : ""), session.peer, session.software,
                CompactNumber.time(clients.now.timeIntervalSince(session.since)), "\(session.streams)",
                CompactNumber.bytes(session.bytesToService), CompactNumber.bytes(session.bytesToVisitor),
                places(session),
            ])
        }
        return (table, max(0, all.count - Self.maximumClients))
    }

    private func places(_ session: ClusterSession) -> String {
        let left = max(0, session.places.count - Self.maximumPlaces) + session.placesLeftOut
        let shown = session.places.prefix(Self.maximumPlaces).joined(separator: " ")
        return left > 0 ? "\(shown) and \(left) more" : shown
    }
}
