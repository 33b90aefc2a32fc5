import Synchronization
import TunnelAdmin
import TunnelCore

/// What all clients of a server use together: memory, descriptors and public ports. Once half of something is used, a
/// client that has its share of it gets no more, so that the others find theirs. A share is the whole, divided by the
/// clients that are there.
final class ClientShares: Sendable {
    private let clients = Mutex<[[UInt8]: (share: ClientShare, sessions: Int)]>([:])
    /// Visitors of all clients.
    let visitors = Atomic(0)

    /// Clients that have sessions.
    var count: Int { clients.withLock { $0.count } }

    /// A session of a client begins.
    func join(_ client: [UInt8]) -> ClientShare {
        clients.withLock { clients in
            let entry = clients[client] ?? (ClientShare(), 0)
            clients[client] = (entry.share, entry.sessions + 1)
            return entry.share
        }
    }

    /// A session of a client has ended.
    func leave(_ client: [UInt8]) {
        clients.withLock { clients in
            guard let entry = clients[client] else { return }
            clients[client] = entry.sessions > 1 ? (entry.share, entry.sessions - 1) : nil
        }
    }

    /// Whether a client must not have more of something.
    ///
    /// - Parameters:
    ///   - own: what the client has.
    ///   - used: what all have.
    ///   - capacity: what there is.
    func isExhausted(_ own: Int, used: Int, capacity: Int) -> Bool {
        used >= (capacity + 1) / 2 && own >= max(1, capacity / max(1, count))
    }
}
