import Mux

/// A link that lives counts more than a lease that has ended.
extension ClusterNode {
    /// Time in which a server that reaches the store again must put its claims back. 10 s: it needs 2 s.
    package static let returnTime = Duration.seconds(10)

    /// The store has a claim of a port no more.
    mutating func removePort(_ key: ClaimKey, now: Instant) {
        guard !lapses.isKept(key), let held = table.remove(key) else { return }
        let home = held.claim.home
        if linked.contains(home), home != id {
            guard servers[home] != nil || lapses.hasGivenUp(home) else {
                table.set(held)
                return lapses.keep(key, of: home)
            }
            lapses.note(held, now: now, limits: limits)
        }
        ports -= 1
        report(.portChanged(key.place))
    }

    /// The store has the record of a server no more. If that server lives, its claims that have ended with the record stay.
    mutating func serverLapsed(_ record: ServerRecord, now: Instant) {
        lapses.left(record.id, inOrder: record.isDraining && linked.contains(record.id))
        guard linked.contains(record.id), !record.isDraining, record.id != id else { return }
        for held in lapses.takeGone(of: record.id, now: now, limits: limits)
        where table.excluding(held.claim.key).isEmpty && table[held.claim.key] == nil && ports < limits.portClaims {
            table.set(held)
            ports += 1
            lapses.keep(held.claim.key, of: record.id)
            report(.portChanged(held.claim.key.place))
        }
    }

    /// Time has passed.
    mutating func expireLapses(now: Instant) {
        lapses.expire(now: now, limits: limits)
        dropLapses(lapses.takeExpired(now: now))
    }

    /// The store has a claim, so lapsed ones are out of use that it excludes.
    mutating func dropLapses(besides key: ClaimKey) {
        lapses.forget(key)
        dropLapses(table.excluding(key).map(\.claim.key).filter { lapses.isKept($0) })
    }

    /// Claims are out of use.
    mutating func dropLapses(_ keys: [ClaimKey]) {
        for key in keys {
            lapses.forget(key)
            guard table.remove(key) != nil else { continue }
            ports -= 1
            report(.portChanged(key.place))
        }
    }
}
