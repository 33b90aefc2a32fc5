import Mux

@testable import Cluster

/// The store is away for ten minutes, and all leases have ended when it is back.
extension ClusterSimulation {
    func runOutage(refuses: Bool) {
        start(without: 1)
        let late = clients.count - 1
        run(until: lastFaultAt + 5 * Self.second)
        // Each server has been asked for some names.
        let names = clients.indices.prefix(50).map { clients[$0].keys[0].place }
        visit(names, "before the outage")
        let places = names + (0..<50).map { clients[$0].keys[1].place }
        let leases = store.livingLeases
        let claims = store.claimCount
        let before = report
        storeRefuses = refuses
        storeIsAway(for: 600 * Self.second)
        for minute in 0..<10 {
            run(until: now + 50 * Self.second)
            visit(places, "in minute \(minute)")
            if minute == 1 { connect(late, after: 0) }
        }
        let lost = report.lost - before.lost
        if lost > 0 { fail("\(lost) claims are lost") }
        if report.unreachable == before.unreachable { fail("the late client is not asked to come back") }
        if report.drops > before.drops { fail("sessions have ended") }
        run(until: lastFaultAt)
        for lease in leases { endLease(lease) }
        if store.claimCount > 0 { fail("claims have outlived their leases") }
        let back = now
        run { store.claimCount >= claims || now > back + 10 * Self.second }
        report.backAfter = Double(now - back) / 1e9
        // A request that has met no store fails after 2 s: then the next one is answered.
        let limit = refuses ? 2.0 : 2.5
        if report.backAfter > limit { fail("claims are back after \(report.backAfter) s") }
        run(until: now + 5 * Self.second)
        visit(places, "after the outage")
        if report.lost > before.lost { fail("\(report.lost) claims are lost after the outage") }
        if clients[late].granted == 0 { fail("the late client has no place") }
        checkThatOneServerHoldsEach()
        report.finish(self)
    }

    /// Visitors of places arrive at each server.
    private func visit(_ places: [ClaimPlace], _ time: String) {
        report.samples = []
        report.trace = [:]
        var number = 0
        for server in servers where server.isAlive {
            for place in places {
                visit(place, at: server, sample: number)
                number += 1
            }
        }
        run(until: now + 3 * Self.second)
        let missing = (0..<number).filter { !report.samples.contains($0) }
        if let first = missing.first {
            fail("\(missing.count) visitors do not arrive \(time): \(report.trace[first] ?? [])")
        }
    }
}
