import HTTP1
import TunnelCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension GoneClientStatus {
    init(_ entry: GoneClients.Entry) {
        self.init(
            client: entry.facts.client.escapedForDisplay(),
            name: entry.facts.name.escapedForDisplay(),
            peer: entry.origin.address.escapedForDisplay(),
            front: entry.origin.frontAddress?.escapedForDisplay(),
            software: entry.facts.software.escapedForDisplay(),
            since: Date(timeIntervalSince1970: Double(entry.facts.since)),
            goneSince: Date(timeIntervalSince1970: Double(entry.since)),
            reason: entry.reason.escapedForDisplay(limit: 256),
            places: entry.places.map { $0.escapedForDisplay() }
        )
    }
}

extension GoneClients.Entry {
    /// The client of a session that has ended; nil for one that wanted no tunnel and has left in order, as `-W` does.
    init?(_ session: ServerSession, _ handle: ServerSessionHandle, _ end: SessionEnd) {
        let places = session.ports.published.map { "\($0.place)" }
        let hasLeftInOrder = if case .peer = end { true } else { false }
        guard !hasLeftInOrder || !places.isEmpty || session.refusedTunnels.count > 0 else { return nil }
        self.init(
            owner: handle.owner,
            facts: handle.facts,
            origin: session.carriers.origin,
            places: places,
            since: WallClock.unixSeconds,
            reason: "\(end)"
        )
    }
}
