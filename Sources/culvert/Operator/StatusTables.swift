import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The tables of the page.
extension StatusPage {
    var sessions: TextTable {
        switch status {
        case .server(let server):
            var table = TextTable(
                [
                    .init(title: "CLIENT"), .init(title: "FROM"), .init(title: "SOFTWARE"), .init(title: "SEALED"),
                ] + connectionColumns
            )
            for session in server.sessions {
                let state = session.isDraining ? " (draining)" : session.hasCarrier ? "" : " (no WebSocket)"
                table.append([
                    session.name + state, session.peer + (session.front.map { " by \($0)" } ?? ""), session.software,
                    session.sealedWith == nil ? "no" : "yes", age(session.since, server.now),
                    session.carrierSince.map { age($0, server.now) } ?? "-", "\(session.resumes)",
                    CompactNumber.milliseconds(session.roundTripMs),
                ])
            }
            return table
        case .client(let client):
            var table = TextTable(
                [
                    .init(title: "SERVER"), .init(title: "PROXY"), .init(title: "SOFTWARE"), .init(title: "SEALED"),
                ] + connectionColumns
            )
            for session in client.sessions {
                table.append([
                    session.url + (session.isDraining ? " (draining)" : ""), session.proxy ?? "none",
                    session.software, session.sealedWith ?? "no", age(session.since, client.now),
                    session.carrierSince.map { age($0, client.now) } ?? "-", "\(session.resumes)",
                    CompactNumber.milliseconds(session.roundTripMs),
                ])
            }
            return table
        }
    }

    /// The age of the session and of its WebSocket, and how it fares.
    private var connectionColumns: [TextTable.Column] {
        ["FOR", "WEBSOCKET", "RESUMES", "ROUND TRIP"].map { TextTable.Column(title: $0, alignment: .trailing) }
    }

    /// The clients that are gone, and the number of those that the page leaves out.
    var gone: (TextTable, left: Int) {
        var table = TextTable([
            .init(title: "GONE"), .init(title: "FROM"), .init(title: "SINCE", alignment: .trailing),
            .init(title: "WHY"),
        ])
        guard case .server(let server) = status else { return (table, 0) }
        let shown = server.gone.prefix(Self.maximumGone)
        for client in shown {
            table.append([client.name, client.peer, age(client.goneSince, server.now), client.reason])
        }
        return (table, server.gone.count - shown.count)
    }

    var tunnels: TextTable {
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

    var forwards: TextTable {
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

    var visitors: (TextTable, left: Int) {
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
        guard let port = tunnel.port else {
            let wanted = tunnel.wanted.map { "\($0) " } ?? ""
            return wanted + (tunnel.refusal.map { "not public: \($0)" } ?? "not public yet")
        }
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
        if let url = visitor.url { return isServer ? "\(client) \(url)" : url }
        let port = visitor.port.map { "\($0)" } ?? "?"
        let kind = visitor.transport == "udp" ? "UDP " : ""
        return isServer ? "\(client):\(port)\(kind.isEmpty ? "" : " (UDP)")" : "\(kind)port \(port)"
    }

    private func health(_ tunnel: TunnelStatus) -> String {
        guard tunnel.isServiceUp == false else { return "" }
        return " (service down: \(tunnel.serviceProblem ?? "unknown"))"
    }

}
