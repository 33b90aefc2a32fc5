/// What the store knows of one claim, besides its key.
package struct Claim: Sendable, Hashable {
    /// The key.
    package var key: ClaimKey
    /// The server that has the client's session.
    package var home: ServerID
    /// The session's id.
    package var session: [UInt8]
    /// The session's number of the tunnel.
    package var tunnel: UInt16
    /// The operator's name for the client, for messages.
    package var client: String
    /// When the place was claimed, seconds since 1970.
    package var since: Int64

    /// Creates a claim.
    package init(
        _ key: ClaimKey,
        home: ServerID,
        session: [UInt8],
        tunnel: UInt16,
        client: String,
        since: Int64
    ) {
        (self.key, self.home, self.session) = (key, home, session)
        (self.tunnel, self.client, self.since) = (tunnel, client, since)
    }
}

/// A claim with its epoch.
package struct HeldClaim: Sendable, Hashable {
    /// The claim.
    package var claim: Claim
    /// The store's revision that wrote it. A later holder of the same key has a higher one.
    package var epoch: Revision

    /// Creates a held claim.
    package init(_ claim: Claim, epoch: Revision) {
        (self.claim, self.epoch) = (claim, epoch)
    }
}

/// A server of the cluster, as it describes itself.
package struct ServerRecord: Sendable, Hashable {
    /// The server's id.
    package var id: ServerID
    /// The URL at which other servers reach it: `wss://10.0.0.5:7443/peer`.
    package var peerURL: String
    /// Whether it accepts no further session.
    package var isDraining: Bool
    /// The release that it runs.
    package var version: String
    /// When it started, seconds since 1970.
    package var since: Int64

    /// Creates a record.
    package init(_ id: ServerID, peerURL: String, isDraining: Bool = false, version: String, since: Int64) {
        (self.id, self.peerURL, self.isDraining) = (id, peerURL, isDraining)
        (self.version, self.since) = (version, since)
    }
}

/// A point in the history of the store. Each change has a higher one.
package struct Revision: Sendable, Hashable, Comparable {
    /// The number. 0 is before the first change.
    package let number: Int64

    /// Creates a revision.
    package init(_ number: Int64) {
        self.number = number
    }

    /// Before the first change.
    package static let zero = Revision(0)

    /// The revision behind this one.
    package var next: Revision { Revision(number &+ 1) }

    package static func < (left: Revision, right: Revision) -> Bool { left.number < right.number }
}

/// A lease of the store. Entries of a lease are removed once it is not kept alive in its time.
package struct LeaseID: Sendable, Hashable {
    /// The store's number for it.
    package let number: Int64

    /// Creates an id.
    package init(_ number: Int64) {
        self.number = number
    }
}
