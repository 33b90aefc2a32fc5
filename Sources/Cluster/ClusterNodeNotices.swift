import Mux

/// Servers that tell each other of claims that were taken over. A server watches ports, but not its names.
extension ClusterNode {
    /// A claim that this server has taken over.
    struct Notice: Sendable {
        let key: ClaimKey
        let home: ServerRecord
        /// When the other server was told last.
        var toldAt: Instant?
    }

    /// Notices that are kept for one server. 1,000: it has a server's claims in one lease.
    package static let notices = 1_000
    /// Servers with notices until those are left out that are gone. 100: few servers are cut off at a time.
    package static let noticedServers = 100
    /// Time in which a link may turn out to be broken. What was told before may not have arrived.
    package static let linkDoubt = Duration.seconds(30)

    /// The store has granted a claim. If it was another server's, that one is told.
    mutating func noteTaken(_ entry: OwnClaims.Entry, now: Instant) {
        let key = entry.claim.key
        guard let home = entry.takenFrom else { return }
        claims.markTaken(key, from: nil)
        guard !key.place.isPort, home.id != id else { return }
        let isLinked = linked.contains(home.id)
        if isLinked { report(.taken(home, key)) }
        // A server that lives may be missing for a moment. Those that are gone count only if they are many.
        if notices.count >= Self.noticedServers { notices = notices.filter { servers[$0.key] != nil } }
        var all = (notices[home.id] ?? []).filter { $0.key != key && isOpen($0, now: now) }
        if all.count >= Self.notices { all.removeFirst() }
        all.append(Notice(key: key, home: home, toldAt: isLinked ? now : nil))
        notices[home.id] = all
    }

    private func isOpen(_ notice: Notice, now: Instant) -> Bool {
        notice.toldAt.map { now.since($0) < Self.linkDoubt } ?? true
    }

    /// A link to a server lives, or has ended.
    package mutating func link(to server: ServerID, isUp: Bool, now: Instant) -> [Action] {
        guard isUp else {
            linked.remove(server)
            dropLapses(lapses.takeKept(of: server))
            return act(now)
        }
        linked.insert(server)
        if let all = notices.removeValue(forKey: server) {
            let open = all.filter { isOpen($0, now: now) }
            for notice in open { report(.taken(notice.home, notice.key)) }
            if !open.isEmpty { notices[server] = open.map { Notice(key: $0.key, home: $0.home, toldAt: now) } }
        }
        return act(now)
    }

    /// Another server says that it has taken a claim over. The store tells whether that is so.
    package mutating func taken(_ key: ClaimKey, now: Instant) -> [Action] {
        guard !isStopped, !key.place.isPort, claims[key] != nil, takenKeys.count < limits.claims else {
            return act(now)
        }
        takenKeys.append(key)
        return act(now)
    }
}
