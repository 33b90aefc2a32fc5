/// Keeps the servers of a cluster and their claims, for all of them. The data path never asks it.
///
/// Each change is one transaction. A claim is granted if no other claim excludes it (``ClaimKey/excludes(_:)``), or if the
/// only one is the claim with the same key whose epoch the request names. Entries belong to leases of their server.
///
/// Two implementations pass the same tests: ``MemoryClaimStore``, and etcd's in the target `EtcdStore`.
package protocol ClaimStore: Sendable {
    /// Creates a lease.
    ///
    /// - Parameter seconds: the time for which it lasts without ``keepAlive(_:)``.
    func grantLease(seconds: Int) async throws(StoreFailure) -> LeaseID

    /// Begins the lease's time anew.
    ///
    /// - Returns: false if the lease has ended, and its entries with it.
    func keepAlive(_ lease: LeaseID) async throws(StoreFailure) -> Bool

    /// Ends a lease and removes its entries. A lease that has ended is no error.
    func revoke(_ lease: LeaseID) async throws(StoreFailure)

    /// Makes changes, each on its own, in one request.
    ///
    /// No two changes may concern the same place, or the same server.
    ///
    /// - Parameter changes: at most ``StoreLimits/changes``.
    /// - Returns: the answers in the order of the changes.
    func apply(_ changes: [StoreChange]) async throws(StoreFailure) -> [StoreAnswer]

    /// Reads all present entries of a scope.
    func read(_ scope: StoreScope) async throws(StoreFailure) -> StoreSnapshot

    /// Reports the changes of a scope, in order and each once, from a revision on.
    ///
    /// The sequence ends with a failure if the store cannot be reached, if the revision is too old
    /// (``StoreFailure/compacted``), or if nothing shows any more that the watch lives.
    func watch(_ scope: StoreScope, from revision: Revision) -> AsyncThrowingStream<StoreEvent, any Error>
}

/// Limits of requests to the store.
package enum StoreLimits {
    /// Changes in one request. 60: etcd accepts 128 operations in a transaction, and each change is a transaction in it.
    package static let changes = 60
    /// Entries that one lease may have. 1,000: etcd removes the entries of a lease in one step when it ends.
    package static let entriesOfLease = 1_000
}

/// A change that is wanted of the store.
package enum StoreChange: Sendable, Hashable {
    /// Claims a place.
    ///
    /// `over` is the epoch of a claim with the same key that this one replaces; nil if there is none.
    case claim(Claim, lease: LeaseID, over: Revision?)
    /// Removes a claim that has still this epoch.
    case release(ClaimKey, epoch: Revision)
    /// Writes a server's record.
    case server(ServerRecord, lease: LeaseID)
    /// Removes a server's record.
    case withdraw(ServerID)
}

/// The store's answer to one change.
package enum StoreAnswer: Sendable, Hashable {
    /// The claim is granted, or the record is written.
    case granted(epoch: Revision)
    /// Other claims exclude it. There is at least one, or the store has changed meanwhile and the caller asks again.
    case held([HeldClaim])
    /// The lease has ended: nothing is written.
    case leaseEnded
    /// The entry is removed, or was gone already, or has another epoch.
    case released
}

/// A part of the store that is read or watched.
package enum StoreScope: Sendable, Hashable {
    /// The records of servers.
    case servers
    /// The claims of TCP and UDP ports.
    case ports
    /// The claims of one place.
    case place(ClaimPlace)
}

/// All entries of a scope at one revision.
package struct StoreSnapshot: Sendable, Hashable {
    /// Servers, in the order of their ids; empty for other scopes than ``StoreScope/servers``.
    package var servers: [ServerRecord] = []
    /// Claims, in the order of their keys' texts.
    package var claims: [HeldClaim] = []
    /// The revision that was read. A watch continues from ``Revision/next``.
    package var revision: Revision

    /// Creates a snapshot without entries.
    package init(revision: Revision) {
        self.revision = revision
    }
}

/// An event of a watch.
package enum StoreEvent: Sendable, Hashable {
    /// Changes that were made at one revision.
    case changed([StoreEntryChange], at: Revision)
    /// Nothing has changed until the revision: the watch lives.
    case progress(Revision)
}

/// One entry that was written or removed.
package enum StoreEntryChange: Sendable, Hashable {
    /// A server's record was written.
    case server(ServerRecord)
    /// A server's record was removed.
    case serverGone(ServerID)
    /// A claim was written.
    case claim(HeldClaim)
    /// A claim was removed.
    case claimGone(ClaimKey)
}

/// A failure of the store.
package enum StoreFailure: Error, Sendable, Hashable {
    /// No endpoint has answered in time. Whether changes were made is not known.
    case unreachable(String)
    /// The revision is too old: the scope has to be read again.
    case compacted
    /// The store does not accept the credentials.
    case refused(String)
    /// The answer makes no sense.
    case malformed(String)
}

extension StoreFailure: CustomStringConvertible {
    /// The reason, for the log.
    package var description: String {
        switch self {
        case .unreachable(let text): "the store cannot be reached: \(text)"
        case .compacted: "the store has forgotten the revision; its entries are read again"
        case .refused(let text): "the store refuses the server: \(text); check user, password_file and certificate"
        case .malformed(let text): "the store's answer is malformed: \(text)"
        }
    }
}
