import Cluster
import NIOCore
import Synchronization

/// Whether another server of the cluster was reached lately, for all event loops.
final class PeerHealth: Sendable {
    /// Time for which visitors avoid a server that was not reached. 2 s: a server that restarts gets visitors soon.
    static let avoidance = TimeAmount.seconds(2)

    /// The time until which it is avoided, in the event loops' nanoseconds.
    private let downUntil = Atomic<UInt64>(0)

    /// Whether visitors go elsewhere if they can.
    var isDown: Bool { NIODeadline.now().uptimeNanoseconds < downUntil.load(ordering: .relaxed) }

    /// The server was not reached, or the link to it has broken.
    func failed() {
        downUntil.store((NIODeadline.now() + Self.avoidance).uptimeNanoseconds, ordering: .relaxed)
    }

    /// A link to the server lives.
    func succeeded() {
        downUntil.store(0, ordering: .relaxed)
    }
}

/// Whether the other servers were reached lately.
final class PeerHealths: Sendable {
    private let known = Mutex<[ServerID: PeerHealth]>([:])

    /// The state of a server.
    func health(of server: ServerID) -> PeerHealth {
        known.withLock { known in
            if let health = known[server] { return health }
            let health = PeerHealth()
            known[server] = health
            return health
        }
    }

    /// Forgets a server that has left the cluster.
    func forget(_ server: ServerID) {
        known.withLock { $0[server] = nil }
    }
}
