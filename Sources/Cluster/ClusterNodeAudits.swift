import Mux

/// Places that are read since the store may have something else there than this server knows.
extension ClusterNode {
    /// Longest time for which a failed request may still be performed.
    package static let latestPerformance = Duration.seconds(10)
    /// Places that are read at a time: audits are in no hurry.
    package static let auditsAtATime = 16

    /// A place is read later, since a failed request may still claim it.
    mutating func audit(_ place: ClaimPlace, failedAt: Instant) {
        if audits.count >= limits.claims { _ = audits.popFirst() }
        audits.append((failedAt + Self.latestPerformance, place))
    }

    /// When the next place is read.
    var auditDeadline: Instant? { auditing < Self.auditsAtATime ? audits.first?.at : nil }

    /// Reads the places of claims that were taken over, and those whose time has come.
    mutating func sendAudits(now: Instant) {
        while auditing < Self.auditsAtATime, let key = takenKeys.popFirst() {
            auditing += 1
            send(.audit(key.place, taken: key), .read(.place(key.place)), now: now)
        }
        while let deadline = auditDeadline, deadline <= now, let next = audits.popFirst() {
            auditing += 1
            send(.audit(next.place, taken: nil), .read(.place(next.place)), now: now)
        }
    }

    mutating func receiveAudit(_ reply: StoreReply, of place: ClaimPlace, taken key: ClaimKey?, now: Instant) {
        auditing -= 1
        guard case .snapshot(let snapshot) = reply else {
            if let key { takenKeys.append(key) } else { audit(place, failedAt: now) }
            return
        }
        let present = snapshot.claims.filter { $0.claim.key.place == place }
        for held in present { note(held) }
        if let key, !present.contains(where: { $0.claim.key == key }) { noteMissing(key, at: snapshot.revision) }
    }
}
