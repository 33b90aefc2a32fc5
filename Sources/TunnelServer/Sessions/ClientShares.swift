import Synchronization
import TunnelAdmin
import TunnelCore

/// The shares of a server's clients in its memory, descriptors and public ports.
///
/// A share is the capacity divided by the number of connected clients. Once half of the capacity is used, a client that has
/// its share gets no more. The rest is left for the others.
final class ClientShares: Sendable {
    private let clients = Mutex<[[UInt8]: (share: ClientShare, sessions: Int)]>([:])
    /// Connections of all clients: visitors, and those to destinations.
    let connections = Atomic(0)

    /// The number of clients that have sessions.
    var count: Int { clients.withLock { $0.count } }

    /// Notes that a session of a client begins.
    func join(_ client: [UInt8]) -> ClientShare {
        clients.withLock { clients in
            let entry = clients[client] ?? (ClientShare(), 0)
            clients[client] = (entry.share, entry.sessions + 1)
            return entry.share
        }
    }

    /// Notes that a session of a client has ended.
    func leave(_ client: [UInt8]) {
        clients.withLock { clients in
            guard let entry = clients[client] else { return }
            clients[client] = entry.sessions > 1 ? (entry.share, entry.sessions - 1) : nil
        }
    }

    /// Whether a client has used up its share of a resource.
    ///
    /// - Parameters:
    ///   - own: the client's use.
    ///   - used: the use of all clients.
    ///   - capacity: the whole of the resource.
    func isExhausted(_ own: Int, used: Int, capacity: Int) -> Bool {
        used >= (capacity + 1) / 2 && own >= max(1, capacity / max(1, count))
    }
}
