import Mux

@testable import Cluster

/// Servers, and their requests to the store.
extension ClusterSimulation {
    func addServer() {
        let id = ServerID(UInt32.random(in: .min ... .max, using: &random))
        let record = ServerRecord(
            id,
            peerURL: "wss://10.0.0.1:7443/peer",
            version: "2.0",
            since: Int64(now / Self.second)
        )
        let server = SimulatedServer(servers.count, ClusterNode(record))
        servers.append(server)
        indexes[id] = server.index
        with(server) { node, now in node.start(now: now) }
        for other in servers where other.isAlive && other !== server { link(server, other, isUp: true) }
    }

    /// A link between two servers lives, or has ended.
    func link(_ one: SimulatedServer, _ other: SimulatedServer, isUp: Bool) {
        let (first, second) = (one.node.id, other.node.id)
        with(one) { node, now in node.link(to: second, isUp: isUp, now: now) }
        with(other) { node, now in node.link(to: first, isUp: isUp, now: now) }
    }

    /// Gives an input to a node and performs its actions.
    func with(_ server: SimulatedServer, _ body: (inout ClusterNode, Instant) -> [ClusterNode.Action]) {
        guard server.isAlive else { return }
        perform(body(&server.node, instant), server)
    }

    func perform(_ actions: [ClusterNode.Action], _ server: SimulatedServer) {
        for action in actions { perform(action, server) }
        guard let deadline = server.node.deadline?.nanoseconds, deadline < server.tickAt else { return }
        server.tickAt = max(deadline, now)
        queue.push(.tick(server: server.index), at: server.tickAt)
    }

    func tick(_ server: SimulatedServer) {
        guard server.isAlive, server.tickAt == now else { return }
        server.tickAt = .max
        server.ticks = server.ticks.at == now ? (now, server.ticks.count + 1) : (now, 1)
        if server.ticks.count > 100 { fail("server \(server.index) ticks in a loop") }
        with(server) { node, now in node.tick(now: now) }
    }

    private func perform(_ action: ClusterNode.Action, _ server: SimulatedServer) {
        switch action {
        case .request(let id, let request): send(request, id, of: server)
        case .watch(let scope, let from):
            server.lastWatch += 1
            let after = Revision(from.number - 1)
            server.watches[scope] = SimulatedServer.Watch(number: server.lastWatch, after: after)
            queue.push(.watch(server: server.index, scope, number: server.lastWatch), at: now + delay)
        case .granted(let id): granted(id, at: server)
        case .refused(let id, let refusal): refused(id, refusal, at: server)
        case .lost(let id, _): refused(id, nil, at: server)
        case .probe(let id, let home, let session):
            report.probes += 1
            // An owner may find out itself that a server is not there, or leave it to the node.
            guard server.peers.isCutTo == 0 else {
                if below(2) == 0 { queue.push(.answer(server: server.index, id, isAlive: false), at: now + delay) }
                return
            }
            // A link loses nothing while it lives, but may be slow.
            let late = isLost ? nanoseconds(2...4) : 0
            queue.push(.probe(from: server.index, id, to: home.id, session: session), at: now + delay + late)
        case .taken(let home, let key):
            report.notices += 1
            guard let index = indexes[home.id] else { return }
            queue.push(.taken(from: server.index, server: index, key), at: now + delay)
        case .portChanged: report.portChanges += 1
        case .found(let id, let claims): found(id, claims, at: server)
        }
    }

    // MARK: Requests

    private func send(_ request: StoreRequest, _ id: ClusterNode.RequestID, of server: SimulatedServer) {
        report.note(request, now)
        let failed = StoreReply.failed(.unreachable("no answer"))
        queue.push(.reply(server: server.index, id, failed), at: now + 2 * Self.second)
        guard server.store.isCutTo == 0, !isLost else { return }
        let late = hasLosses && happens(plan.late) ? nanoseconds(2...6) : 0
        queue.push(.request(server: server.index, id, request), at: now + delay + late)
    }

    func arrive(_ request: StoreRequest, _ id: ClusterNode.RequestID, of server: SimulatedServer) {
        guard storeAway == 0 else {
            if storeRefuses {
                let failed = StoreReply.failed(.unreachable("connection refused"))
                queue.push(.reply(server: server.index, id, failed), at: now + delay)
            }
            return
        }
        if case .apply(let changes) = request { report.arrivedChanges += changes.count }
        let reply = store.perform(request, now: now)
        trace(request, reply, of: server)
        if case .lease(let lease) = reply, let end = store.end(of: lease) { queue.push(.lease(lease), at: end) }
        announce()
        guard server.store.isCutFrom == 0, !isLost else { return }
        queue.push(.reply(server: server.index, id, reply), at: now + delay)
        if happens(plan.repeated) { queue.push(.reply(server: server.index, id, reply), at: now + delay * 10) }
    }

    /// Prints the changes of a place that is traced, and their answers.
    private func trace(_ request: StoreRequest, _ reply: StoreReply, of server: SimulatedServer) {
        guard let traced = plan.trace, case .apply(let changes) = request, case .answers(let answers) = reply else {
            return
        }
        for (change, answer) in zip(changes, answers) {
            let key: ClaimKey
            switch change {
            case .claim(let claim, _, _): key = claim.key
            case .release(let released, _): key = released
            case .server, .withdraw: continue
            }
            if "\(key.place)" == traced {
                print("\(Double(now) / 1e9) s, server \(server.index): \(change) -> \(answer)")
            }
        }
    }

    func lease(_ id: LeaseID) {
        guard let end = store.end(of: id) else { return }
        // A store that is away ends no lease.
        guard storeAway == 0, end <= now else {
            return queue.push(.lease(id), at: max(end, now + (storeAway > 0 ? Self.second : 0)))
        }
        endLease(id)
        announce()
    }

    /// A lease ends. Servers that live put its claims back.
    func endLease(_ id: LeaseID) {
        for held in store.claims(of: id) where indexes[held.claim.home].map({ servers[$0].isAlive }) == true {
            report.endedClaims += 1
        }
        store.end(id)
    }

    // MARK: Watches

    /// Changes are on their way to the servers that watch.
    func announce() {
        for scope in [StoreScope.servers, .ports] where store.changed.contains(scope) {
            for server in servers where server.isAlive {
                guard let watch = server.watches[scope], !watch.isScheduled else { continue }
                server.watches[scope]?.isScheduled = true
                queue.push(.watch(server: server.index, scope, number: watch.number), at: now + 2 * delay)
            }
        }
        store.changed = []
    }

    func deliver(_ scope: StoreScope, _ number: Int, to server: SimulatedServer) {
        guard server.isAlive, let watch = server.watches[scope], watch.number == number else { return }
        guard storeAway == 0, server.store.isWhole else {
            // It goes on if the path does so in time.
            return queue.push(.watchDies(server: server.index, scope, number: number), at: now + 2 * Self.second)
        }
        server.watches[scope]?.isScheduled = false
        guard let history = store.history[scope], watch.after >= history.compacted else {
            return end(scope, .compacted, server)
        }
        var low = 0
        var high = history.events.count
        while low < high {
            let middle = (low + high) / 2
            if history.events[middle].revision <= watch.after { low = middle + 1 } else { high = middle }
        }
        for (revision, changes) in history.events[low...] {
            server.watches[scope]?.after = revision
            report.watchEvents += 1
            report.watchedChanges += changes.count
            let times = happens(plan.repeated) ? 2 : 1
            for _ in 0..<times {
                with(server) { node, now in node.receive(.changed(changes, at: revision), of: scope, now: now) }
            }
        }
        if happens(10_000) {
            let revision = store.revision
            server.watches[scope]?.after = revision
            with(server) { node, now in node.receive(.progress(revision), of: scope, now: now) }
        }
        if isLost { end(scope, .unreachable("the watch was cut"), server) }
    }

    func watchDies(_ scope: StoreScope, _ number: Int, of server: SimulatedServer) {
        guard server.isAlive, let watch = server.watches[scope], watch.number == number else { return }
        if storeAway == 0, server.store.isWhole {
            if watch.isScheduled { deliver(scope, number, to: server) }
        } else {
            end(scope, .unreachable("nothing shows that the watch lives"), server)
        }
    }

    private func end(_ scope: StoreScope, _ failure: StoreFailure, _ server: SimulatedServer) {
        server.watches[scope] = nil
        with(server) { node, now in node.watchEnded(scope, failure, now: now) }
    }

    // MARK: Messages between servers

    /// A server hears that a claim of it was taken over. A link brings it late if its path is whole again in time.
    func taken(_ key: ClaimKey, from sender: SimulatedServer, at server: SimulatedServer) {
        guard sender.peers.isCutTo == 0, server.peers.isCutFrom == 0 else {
            guard sender.isAlive, sender.hasLinks, server.hasLinks else { return }
            let event = SimulationEvent.taken(from: sender.index, server: server.index, key)
            return queue.push(event, at: now + Self.second / 2)
        }
        with(server) { node, now in node.taken(key, now: now) }
    }

    func probe(_ id: ClusterNode.ProbeID, from asker: Int, to home: ServerID, _ session: [UInt8]) {
        guard let index = indexes[home], servers[index].isAlive, servers[index].peers.isWhole else { return }
        let home = servers[index]
        var isAlive = false
        if let (client, number) = Self.session(session) {
            isAlive = home.sessions[client]?.number == number && isConnected(client, number, at: home)
        }
        guard servers[asker].peers.isCutFrom == 0 else { return }
        queue.push(.answer(server: asker, id, isAlive: isAlive), at: now + delay)
    }
}
