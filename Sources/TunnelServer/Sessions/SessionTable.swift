/// The sessions of a server that live.
struct SessionTable {
    /// Sessions by the id that RESUME names.
    private(set) var all: [[UInt8]: ServerSessionHandle] = [:]
    /// The number of sessions of each client, by the client's id.
    private var countsByClient: [[UInt8]: Int] = [:]

    /// The result of a request for room.
    enum Room {
        case free
        /// This session was removed for the new one, and is to be ended.
        case freedBy(ServerSessionHandle)
        case none
    }

    mutating func add(_ session: ServerSessionHandle) {
        all[session.id] = session
        countsByClient[session.owner.client, default: 0] += 1
    }

    /// Removes a session.
    ///
    /// - Returns: whether its process has no other session.
    @discardableResult
    mutating func remove(_ session: ServerSessionHandle) -> Bool {
        let owner = session.owner
        if all.removeValue(forKey: session.id) != nil {
            let left = count(of: owner.client) - 1
            countsByClient[owner.client] = left > 0 ? left : nil
        }
        return count(of: owner.client) == 0 || !all.values.contains { $0.owner == owner }
    }

    /// Finds room for another session of a client. At the limit, a session of the client that waits for a carrier goes.
    ///
    /// - Parameter evicts: false leaves all sessions in their places.
    mutating func makeRoom(for owner: PortOwner, limit: Int, evicts: Bool = true) -> Room {
        guard count(of: owner.client) >= limit else { return .free }
        guard evicts, let oldest = longestWaiting(of: owner) else { return .none }
        remove(oldest)
        return .freedBy(oldest)
    }

    private func count(of client: [UInt8]) -> Int { countsByClient[client, default: 0] }

    /// The client's session that has waited longest for a carrier. Sessions of the same process go first.
    ///
    /// It looks at all sessions, because only a client at its limit needs it.
    private func longestWaiting(of owner: PortOwner) -> ServerSessionHandle? {
        let waiting = all.values.compactMap { session in
            session.owner.client == owner.client ? session.waitsUntil.map { (session, until: $0) } : nil
        }
        let own = waiting.filter { $0.0.owner == owner }
        return (own.isEmpty ? waiting : own).min { $0.until < $1.until }?.0
    }
}
