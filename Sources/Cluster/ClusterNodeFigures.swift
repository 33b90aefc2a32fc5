/// What the operator sees of a server's part in its cluster.
extension ClusterNode {
    /// Counts of a node.
    package struct Figures: Sendable, Hashable {
        /// Leases of the server.
        package var leases = 0
        /// Claims that its sessions have, also those that are being put back.
        package var claims = 0
        /// Claims that its sessions want and that were not granted yet.
        package var waitingClaims = 0
    }

    /// The present counts. The work grows with the claims of this server.
    package var figures: Figures {
        var figures = Figures(leases: leases.leases.count)
        for entry in claims.byKey.values where !entry.isDropped {
            if entry.deadline == nil { figures.claims += 1 } else { figures.waitingClaims += 1 }
        }
        return figures
    }

    /// This server as it describes itself to others.
    package var ownRecord: ServerRecord { record }

    /// All servers that are known, this one among them, in the order of their ids.
    package var allServers: [ServerRecord] {
        var all = servers
        all[id] = record
        return all.values.sorted { $0.id < $1.id }
    }
}
