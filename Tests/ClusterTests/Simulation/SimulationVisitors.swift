import Mux

@testable import Cluster

/// Visitors, and where they arrive.
extension ClusterSimulation {
    /// Some visitors arrive at random servers.
    func visitors() {
        for _ in 0..<max(1, plan.visitorsPerSecond / 10) {
            let server = servers[below(servers.count)]
            let client = clients[below(clients.count)]
            guard server.isAlive, let key = client.keys.randomElement(using: &random) else { continue }
            visit(key.place, at: server)
        }
        visitorRounds += 1
        if visitorRounds.isMultiple(of: 200) { checkThatOneServerHoldsEach() }
        queue.push(.visitors, at: now + Self.second / 10)
    }

    /// A visitor asks for a place at a server.
    ///
    /// - Parameters:
    ///   - attempt: homes that had moved before.
    ///   - sample: the number of a visitor that has to arrive.
    func visit(_ place: ClaimPlace, at server: SimulatedServer, attempt: Int = 0, sample: Int? = nil) {
        guard server.isAlive else { return }
        if let client = server.routes[place]?.randomElement(using: &random) {
            return reach(client, place, at: server, sample)
        }
        if place.isPort { return route(server.node.claims(of: place), place, from: server, attempt, sample) }
        let (lookup, actions) = server.node.find(place, now: instant)
        if case .asked(let id) = lookup { server.lookups[id] = (place, attempt, sample) }
        perform(actions, server)
        switch lookup {
        case .known(let claims): route(claims, place, from: server, attempt, sample)
        case .asked: report.lookups += 1
        case .full: report.visitors.full += 1
        }
    }

    func found(_ id: ClusterNode.LookupID, _ claims: [HeldClaim]?, at server: SimulatedServer) {
        guard let (place, attempt, sample) = server.lookups.removeValue(forKey: id) else {
            return fail("a name is found for no visitor")
        }
        guard let claims else {
            report.note(sample, "the store does not answer")
            return report.visitors.withoutStore += 1
        }
        route(claims, place, from: server, attempt, sample)
    }

    private func route(
        _ claims: [HeldClaim],
        _ place: ClaimPlace,
        from server: SimulatedServer,
        _ attempt: Int,
        _ sample: Int?
    ) {
        guard let held = claims.randomElement(using: &random) else {
            report.note(sample, "server \(server.index) knows no claim")
            return report.visitors.unknown += 1
        }
        guard held.claim.key.place == place else { return fail("a visitor of \(place) is sent to \(held.claim.key)") }
        if let index = indexes[held.claim.home], index != server.index, servers[index].isAlive, server.peers.isWhole,
            servers[index].peers.isWhole, let client = servers[index].routes[place]?.randomElement(using: &random)
        {
            return reach(client, place, at: servers[index], sample)
        }
        // The home has not been reached, or answers that it does not have the place.
        report.visitors.moved += 1
        report.note(sample, "server \(server.index) sends it to \(held)")
        server.node.moved(place)
        if attempt < 2, !place.isPort { visit(place, at: server, attempt: attempt + 1, sample: sample) }
    }

    /// A visitor reaches the session of a client.
    private func reach(_ client: Int, _ place: ClaimPlace, at home: SimulatedServer, _ sample: Int?) {
        guard let key = clients[client].keys.first(where: { $0.place == place }) else {
            return fail("a visitor of \(place) reaches client \(client), which has never wanted it")
        }
        if store.contested.contains(place) {
            let owners = store.owners[place] ?? []
            if !owners.contains(key.owner) { fail("a visitor of \(place) reaches \(key.owner), which never owned it") }
            let present = store.claims(of: place)
            let isOwner = present.contains { $0.claim.key.owner == key.owner }
            // A server that could not reach the store for longer than a lease may serve a place that has another owner.
            if !isOwner, !isTroubled(home) {
                fail("a visitor of \(place) reaches \(key.owner), and its owners are \(present.map(\.claim.key.owner))")
            }
        }
        if let number = home.sessions[client]?.number, isConnected(client, number, at: home) {
            report.visitors.arrived += 1
            if let sample { report.samples.insert(sample) }
        } else {
            report.visitors.deadSession += 1
            report.note(sample, "client \(client) is not connected to server \(home.index)")
        }
    }

    /// Whether a server may have lost its leases lately without knowing.
    private func isTroubled(_ server: SimulatedServer) -> Bool {
        [server.troubledAt, storeTroubledAt].contains { time in
            guard let time else { return false }
            return now < time + 20 * Self.second
        }
    }
}
