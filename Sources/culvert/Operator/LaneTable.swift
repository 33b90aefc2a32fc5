import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The table of WebSockets, for sessions that have several. A session with one has its figures in its own row.
extension StatusPage {
    /// The lanes, and the number of those that the page leaves out.
    var lanes: (TextTable, left: Int) {
        let now: Date
        let isServer: Bool
        switch status {
        case .server(let server): (now, isServer) = (server.now, true)
        case .client(let client): (now, isServer) = (client.now, false)
        }
        let all = status.sessions.filter { $0.lanes.count > 1 }
            .flatMap { session in
                session.lanes.map { (client: session.name, isFirst: $0 == session.lanes.first, lane: $0) }
            }
        let hasSeveralProxies = !isServer && Set(all.map(\.lane.proxy)).count > 1
        let figures = ["LANE", "WEBSOCKET", "ROUND TRIP", "DELIVERS", "IN FLIGHT", "RESENT", "BYTES"]
        var table = TextTable(
            (isServer ? [.init(title: "CLIENT")] : []) + figures.map { .init(title: $0, alignment: .trailing) }
                + [.init(title: isServer ? "FROM" : "WHY")]
                + (hasSeveralProxies ? [.init(title: "PROXY")] : [])
        )
        for (client, isFirst, lane) in all.prefix(Self.maximumLanes) {
            let cells = [
                "\(lane.number)", lane.since.map { age($0, now) } ?? "-", CompactNumber.milliseconds(lane.roundTripMs),
                CompactNumber.rate(lane.rate.map(Double.init)), CompactNumber.bytes(lane.unacknowledgedBytes),
                lane.retransmittedSegments.map { "\($0)" } ?? "-", CompactNumber.bytes(lane.bytes),
            ]
            let why = lane.reason ?? (isFirst ? "the first one" : "")
            table.append(
                (isServer ? [client] : []) + cells + [isServer ? lane.peer ?? "" : why]
                    + (hasSeveralProxies ? [lane.proxy ?? "none"] : [])
            )
        }
        return (table, max(0, all.count - Self.maximumLanes))
    }
}
