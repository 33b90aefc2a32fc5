import Mux

@testable import Cluster

/// What must be true after the faults.
extension ClusterSimulation {
    private struct Grant: Hashable {
        let key: ClaimKey
        let epoch: Revision
    }

    /// 15 s after the last fault, every client is connected and its places are its newest session's, unless another
    /// client has a contested place. Visitors at every server arrive.
    func checkThatAllIsRouted() {
        checkThatOneServerHoldsEach()
        for client in clients.indices {
            guard let index = clients[client].server else { return fail("client \(client) has no session") }
            for (place, key) in clients[client].keys.enumerated() {
                check(client, place, key, at: servers[index])
            }
        }
        report.samples = []
        var places: [ClaimPlace] = []
        for _ in 0..<min(clients.count, 500) {
            guard let key = clients[below(clients.count)].keys.randomElement(using: &random) else { continue }
            places.append(key.place)
        }
        places += store.contested.sorted { "\($0)" < "\($1)" }.prefix(100)
        let living = servers.filter(\.isAlive)
        var samples: [(place: ClaimPlace, server: Int)] = []
        for (index, place) in places.enumerated() {
            let server = living[index % living.count]
            samples.append((place, server.index))
            visit(place, at: server, sample: index)
        }
        run(until: now + Self.second / 2)
        for (index, sample) in samples.enumerated() where !report.samples.contains(index) {
            let way = report.trace[index] ?? []
            let claims = store.claims(of: sample.place)
            fail("a visitor of \(sample.place) at server \(sample.server) does not arrive: \(way), \(claims)")
        }
    }

    private func check(_ client: Int, _ place: Int, _ key: ClaimKey, at server: SimulatedServer) {
        let session = Self.sessionID(server.node.id, client, clients[client].session)
        guard let stored = store.claim(key) else {
            let others = store.claims(of: key.place)
            let isAnothers = store.contested.contains(key.place) && !others.isEmpty
            if !isAnothers { fail("client \(client) does not have \(key): \(describe(key, at: server))") }
            return
        }
        if stored.claim.session != session || stored.claim.home != server.node.id {
            fail("\(key) belongs to \(stored), and the newest session is \(session): \(describe(key, at: server))")
        }
        guard case .held(let epoch, _) = server.node.claims[key]?.state, epoch == stored.epoch else {
            return fail("\(key) has epoch \(stored.epoch): \(describe(key, at: server))")
        }
        if clients[client].granted & 1 << UInt8(place) == 0 {
            fail("client \(client) does not know that it has \(key)")
        }
    }

    private func describe(_ key: ClaimKey, at server: SimulatedServer) -> String {
        "at server \(server.index) it is \(String(describing: server.node.claims[key]))"
    }

    /// No two servers hold a claim of the same epoch.
    func checkThatOneServerHoldsEach() {
        var holders: [Grant: Int] = [:]
        for server in servers where server.isAlive {
            for (key, entry) in server.node.claims.byKey {
                guard case .held(let epoch, _) = entry.state else { continue }
                if let other = holders.updateValue(server.index, forKey: Grant(key: key, epoch: epoch)) {
                    fail("servers \(other) and \(server.index) hold \(key) of \(epoch)")
                }
            }
        }
    }

    /// All that the store has belongs to a living session, and no node keeps more than it needs.
    func checkThatNothingIsLeftOver() {
        checkThatOneServerHoldsEach()
        for held in store.allClaims {
            guard let index = indexes[held.claim.home], servers[index].isAlive else {
                return fail("\(held.claim.key) belongs to a dead server")
            }
            guard case .held(held.epoch, _) = servers[index].node.claims[held.claim.key]?.state else {
                return fail("no session has \(held): \(describe(held.claim.key, at: servers[index]))")
            }
        }
        let living = servers.filter(\.isAlive)
        if store.serverCount != living.count { fail("\(store.serverCount) records of \(living.count) servers") }
        let ports = store.contested.filter(\.isPort).sorted { "\($0)" < "\($1)" }
        for server in living {
            let node = server.node
            if node.servers.count != living.count { fail("server \(server.index) knows \(node.servers.count) servers") }
            if node.servers[node.id]?.isDraining != server.isDraining { fail("server \(server.index) drains") }
            if node.leases.leases.count > 2 + node.claims.count / 500 {
                fail("server \(server.index) has \(node.leases.leases.count) leases for \(node.claims.count) claims")
            }
            for place in ports {
                let (known, stored) = (node.claims(of: place), store.claims(of: place))
                if known != stored { fail("server \(server.index) knows \(known) of \(place), which is \(stored)") }
            }
            if node.probes.count > 10 { fail("server \(server.index) has \(node.probes.count) probes") }
        }
    }

    /// Without faults, the store is written to by nothing, and asked for signs of life only: each lease every 3 s.
    func checkQuietTime() {
        let retries = report.wants
        let before = (store.writes, report.keepAlives, report.applies)
        run(until: now + 10 * Self.second)
        report.quiet = (store.writes - before.0, report.keepAlives - before.1)
        if report.quiet.writes > 0 { fail("\(report.quiet.writes) writes in quiet time") }
        if report.quiet.keepAlives > store.leaseCount * 4 {
            fail("\(report.quiet.keepAlives) signs of life of \(store.leaseCount) leases in 10 s")
        }
        let applies = report.applies - before.2
        if applies > report.wants - retries {
            fail("\(applies) requests with changes, and \(report.wants - retries) claims")
        }
    }

    func checkBudget() {
        if report.arrivedChanges > report.budget {
            fail("\(report.arrivedChanges) changes, and a budget of \(report.budget)")
        }
    }
}
