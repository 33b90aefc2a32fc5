import Cluster
import NIOCore
import Synchronization

/// Servers of the cluster that were not reached lately, for all event loops. Its size is bounded by the links.
final class PeerHealths: Sendable {
    /// Time for which visitors avoid a server that was not reached. 2 s: a server that restarts gets visitors soon.
    static let avoidance = TimeAmount.seconds(2)

    /// The times until which servers are avoided.
    private let avoided = Mutex<[ServerID: NIODeadline]>([:])

    /// Whether visitors go elsewhere if they can.
    func isDown(_ server: ServerID) -> Bool {
        avoided.withLock { avoided in avoided.isEmpty ? false : avoided[server].map { $0 > .now() } ?? false }
    }

    /// The server was not reached, or the link to it has broken.
    func failed(_ server: ServerID) {
        avoided.withLock { $0[server] = .now() + Self.avoidance }
    }

    /// A link to the server lives, or the server has left the cluster.
    func succeeded(_ server: ServerID) {
        avoided.withLock { $0[server] = nil }
    }
}

/// Whether one server was reached lately.
struct PeerHealth: Sendable {
    private let server: ServerID
    private let all: PeerHealths

    init(_ server: ServerID, in all: PeerHealths) {
        (self.server, self.all) = (server, all)
    }

    /// Whether visitors go elsewhere if they can.
    var isDown: Bool { all.isDown(server) }

    /// The server was not reached, or the link to it has broken.
    func failed() { all.failed(server) }

    /// A link to the server lives.
    func succeeded() { all.succeeded(server) }
}
