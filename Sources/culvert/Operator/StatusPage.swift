import Foundation
import Tunnel

/// Formats a status for people: lines about the role, and tables of sessions, tunnels and visitors.
struct StatusPage {
    /// The limit of visitors on the page, those with the most bytes first.
    static let maximumVisitors = 40

    let status: RoleStatus
    /// The rates, with `--watch`.
    let rates: StatusRates?

    /// All lines.
    var lines: [String] {
        var lines = headline
        for table in [sessions, tunnels, forwards] where !table.rows.isEmpty { lines += [""] + table.lines }
        let (visitors, left) = visitors
        if !visitors.rows.isEmpty { lines += [""] + visitors.lines }
        if left > 0 { lines.append("and \(CompactNumber.count(left, "visitor")) more; --json has all") }
        return lines
    }

    private var headline: [String] {
        let all = status.sessions
        let visitors = all.reduce(0) { $0 + $1.visitors.count }
        let totals = status.totals
        var now: String
        let first: String
        switch status {
        case .server(let server):
            let state = server.isAccepting ? "" : ", not accepting"
            first = "culvert \(server.version) server, up \(age(server.started, server.now))\(state)"
            let tunnels = all.reduce(0) { $0 + $1.tunnels.count }
            now = "now: \(CompactNumber.count(all.count, "session")), \(CompactNumber.count(tunnels, "tunnel"))"
        case .client(let client):
            first = "culvert \(client.version) client, up \(age(client.started, client.now))"
            now = client.session == nil ? "now: no session" : "now: a session"
            if let since = client.connection.withoutSince {
                now += ", not connected for \(age(since, client.now))"
                if let next = client.connection.nextTry {
                    now += ", next try in \(CompactNumber.time(max(0, next.timeIntervalSince(client.now))))"
                } else {
                    now += ", dialling"
                }
            }
        }
        now += ", \(CompactNumber.count(visitors, "visitor"))"
        if let rate = rates?[.total] {
            now +=
                ", \(CompactNumber.rate(rate.toService)) to services, \(CompactNumber.rate(rate.toVisitor)) to visitors"
        }
        let soFar =
            "so far: \(CompactNumber.count(totals.sessions, "session")), \(CompactNumber.count(totals.visitors, "visitor")), "
            + "\(CompactNumber.bytes(totals.bytesToService)) to services, "
            + "\(CompactNumber.bytes(totals.bytesToVisitor)) to visitors"
        var lines = [first, now, soFar]
        if !totals.droppedDatagrams.isEmpty {
            let reasons = totals.droppedDatagrams.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            lines.append("dropped datagrams: " + reasons.joined(separator: ", "))
        }
        if case .client(let client) = status, let error = client.connection.lastError,
            let at = client.connection.lastErrorAt
        {
            lines.append("last error, \(age(at, client.now)) ago: \(error)")
        }
        return lines
    }

    private var sessions: TextTable {
        switch status {
        case .server(let server):
            var table = TextTable([
                .init(title: "CLIENT"), .init(title: "FROM"), .init(title: "SOFTWARE"),
                .init(title: "FOR", alignment: .trailing), .init(title: "ROUND TRIP", alignment: .trailing),
            ])
            for session in server.sessions {
                table.append([
                    session.name + (session.isDraining ? " (draining)" : session.hasCarrier ? "" : " (no WebSocket)"),
                    session.peer, session.software,
                    age(session.since, server.now), CompactNumber.milliseconds(session.roundTripMs),
                ])
            }
            return table
        case .client(let client):
            var table = TextTable([
                .init(title: "SERVER"), .init(title: "PROXY"), .init(title: "SOFTWARE"),
                .init(title: "FOR", alignment: .trailing), .init(title: "ROUND TRIP", alignment: .trailing),
            ])
            if let session = client.session {
                table.append([
                    session.url + (session.isDraining ? " (draining)" : ""), session.proxy ?? "none",
                    session.software, age(session.since, client.now), CompactNumber.milliseconds(session.roundTripMs),
                ])
            }
            return table
        }
    }

    private var tunnels: TextTable {
        var table = TextTable(
            [
                .init(title: isServer ? "CLIENT" : "SERVICE"), .init(title: "PUBLIC"),
                .init(title: "VISITORS", alignment: .trailing), .init(title: "SO FAR", alignment: .trailing),
            ] + bytesColumns
        )
        for session in status.sessions {
            for tunnel in session.tunnels {
                table.append(
                    [
                        isServer ? session.name : tunnel.service ?? "", place(tunnel) + health(tunnel),
                        "\(tunnel.visitors)", "\(tunnel.visitorsSoFar)",
                    ]
                        + bytes(
                            tunnel.bytesToService,
                            tunnel.bytesToVisitor,
                            .tunnel(session: session.number, tunnel.tunnel)
                        )
                )
            }
        }
        return table
    }

    private var forwards: TextTable {
        var table = TextTable([
            .init(title: "FORWARD"), .init(title: "TO"), .init(title: "CONNECTIONS", alignment: .trailing),
            .init(title: "SO FAR", alignment: .trailing), .init(title: "TO DESTINATION", alignment: .trailing),
            .init(title: "TO PROGRAM", alignment: .trailing),
        ])
        guard case .client(let client) = status else { return table }
        for forward in client.forwards {
            table.append([
                forward.address ?? "not bound", forward.destination, "\(forward.connections)",
                "\(forward.connectionsSoFar)", CompactNumber.bytes(forward.bytesToDestination),
                CompactNumber.bytes(forward.bytesToProgram),
            ])
        }
        return table
    }

    private var visitors: (TextTable, left: Int) {
        let now: Date
        switch status {
        case .server(let server): now = server.now
        case .client(let client): now = client.now
        }
        let all = status.sessions.flatMap { session in session.visitors.map { (session: session, visitor: $0) } }
        let busiest = all.sorted { left, right in
            let (left, right) = (left.visitor, right.visitor)
            let (mine, yours) = (
                left.bytesToService + left.bytesToVisitor, right.bytesToService + right.bytesToVisitor
            )
            return mine == yours ? left.since < right.since : mine > yours
        }
        let shown = busiest.prefix(Self.maximumVisitors)
        var table = TextTable(
            [.init(title: "VISITOR"), .init(title: "AT"), .init(title: "FOR", alignment: .trailing)] + bytesColumns
        )
        for (session, visitor) in shown {
            let key = visitor.stream.map { StatusRates.Key.visitor(session: session.number, $0) }
            table.append(
                [
                    visitor.address,
                    at(visitor, session.name),
                    age(visitor.since, now),
                ] + bytes(visitor.bytesToService, visitor.bytesToVisitor, key)
            )
        }
        return (table, all.count - shown.count)
    }

    private var isServer: Bool {
        if case .server = status { true } else { false }
    }

    private var bytesColumns: [TextTable.Column] {
        let titles = ["TO SERVICE", "TO VISITOR"] + (rates == nil ? [] : ["IN", "OUT"])
        return titles.map { TextTable.Column(title: $0, alignment: .trailing) }
    }

    private func bytes(_ toService: Int, _ toVisitor: Int, _ key: StatusRates.Key?) -> [String] {
        let counts = [CompactNumber.bytes(toService), CompactNumber.bytes(toVisitor)]
        guard let rates else { return counts }
        let rate = key.flatMap { rates[$0] }
        return counts + [CompactNumber.rate(rate?.toService), CompactNumber.rate(rate?.toVisitor)]
    }

    private func place(_ tunnel: TunnelStatus) -> String {
        if let url = tunnel.url { return url }
        if tunnel.transport == "unix", let path = tunnel.address { return "unix:\(path)" }
        guard let port = tunnel.port else { return tunnel.refusal.map { "not public: \($0)" } ?? "not public" }
        let addresses = (tunnel.address ?? "?").split(separator: " ").map(String.init)
        let scheme = tunnel.transport == "tcp" ? "" : "\(tunnel.transport)://"
        if addresses == ["0.0.0.0", "::"] { return "\(scheme)*:\(port)" }
        let places = addresses.map { $0.contains(":") ? "\(scheme)[\($0)]:\(port)" : "\(scheme)\($0):\(port)" }
        return places.joined(separator: " ")
    }

    /// Where a visitor is, or where it leads.
    private func at(_ visitor: VisitorStatus, _ client: String) -> String {
        let scheme = visitor.transport == "udp" ? "udp://" : ""
        if let destination = visitor.destination {
            return isServer ? "\(client) -> \(scheme)\(destination)" : scheme + destination
        }
        if let path = visitor.path { return isServer ? "\(client) unix:\(path)" : "unix:\(path)" }
        let port = visitor.port.map { "\($0)" } ?? "?"
        let kind = visitor.transport == "udp" ? "UDP " : ""
        return isServer ? "\(client):\(port)\(kind.isEmpty ? "" : " (UDP)")" : "\(kind)port \(port)"
    }

    private func health(_ tunnel: TunnelStatus) -> String {
        guard tunnel.isServiceUp == false else { return "" }
        return " (service down: \(tunnel.serviceProblem ?? "unknown"))"
    }

    private func age(_ since: Date, _ now: Date) -> String {
        CompactNumber.time(now.timeIntervalSince(since))
    }
}
