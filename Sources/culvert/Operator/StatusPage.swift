import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Formats a status for people: lines about the role, and tables of sessions, tunnels and visitors.
struct StatusPage {
    /// The limit of visitors on the page, those with the most bytes first.
    static let maximumVisitors = 40
    /// The limit of clients that are gone, the latest first.
    static let maximumGone = 10
    /// The limit of lanes.
    static let maximumLanes = 40

    let status: RoleStatus
    /// The rates, with `--watch`.
    let rates: StatusRates?

    /// All lines.
    var lines: [String] {
        var lines = headline
        let (servers, others) = servers
        if !servers.rows.isEmpty { lines += [""] + servers.lines }
        if others > 0 { lines.append("and \(CompactNumber.count(others, "server")) more; --json has all") }
        if !sessions.rows.isEmpty { lines += [""] + sessions.lines }
        let (lanes, unseen) = lanes
        if !lanes.rows.isEmpty { lines += [""] + lanes.lines }
        if unseen > 0 { lines.append("and \(CompactNumber.count(unseen, "WebSocket")) more; --json has all") }
        for table in [tunnels, forwards] where !table.rows.isEmpty { lines += [""] + table.lines }
        let (gone, forgotten) = gone
        if !gone.rows.isEmpty { lines += [""] + gone.lines }
        if forgotten > 0 { lines.append("and \(CompactNumber.count(forgotten, "client")) more; --json has all") }
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
            let key = server.key.map { ", key \($0)" } ?? ""
            first = "culvert \(server.version) server, up \(age(server.started, server.now))\(state)\(key)"
            let tunnels = all.reduce(0) { $0 + $1.tunnels.count { $0.isPublic } }
            now = "now: \(CompactNumber.count(all.count, "session")), \(CompactNumber.count(tunnels, "tunnel"))"
        case .client(let client):
            first = "culvert \(client.version) client, up \(age(client.started, client.now))"
            now =
                switch client.sessions.count {
                case 0: "now: no session"
                case 1: "now: a session"
                case let count: "now: \(CompactNumber.count(count, "session"))"
                }
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
        if let clusterLine { lines.append(clusterLine) }
        if case .server(let server) = status {
            for session in server.sessions where !session.hasCarrier {
                guard let loss = session.lastLoss, let at = session.lastLossAt else { continue }
                lines.append("\(session.name) lost its WebSocket \(age(at, server.now)) ago: \(loss)")
            }
        }
        if case .client(let client) = status, let error = client.connection.lastError,
            let at = client.connection.lastErrorAt
        {
            lines.append("last error, \(age(at, client.now)) ago: \(error)")
        }
        return lines
    }

    func age(_ since: Date, _ now: Date) -> String {
        CompactNumber.time(now.timeIntervalSince(since))
    }
}
