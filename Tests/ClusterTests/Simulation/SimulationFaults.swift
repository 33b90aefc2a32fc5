import Mux

@testable import Cluster

/// Kinds of faults.
enum FaultKind: CaseIterable {
    /// A process ends without a goodbye. The kernel closes its connections.
    case crash
    /// A machine vanishes: nothing tells of it.
    case vanish
    case gracefulStop
    case drain
    /// Clients change their network: their old sessions look alive for a while.
    case clientsVanish
    case storePath
    case peerPath
    /// The store elects a leader.
    case election
    /// The store is away for longer, and then has ended all leases.
    case outage
    case compaction
}

/// Faults, and their ends.
extension ClusterSimulation {
    func fault() {
        guard let kind = plan.kinds.randomElement(using: &random) else { return }
        report.faults[kind, default: 0] += 1
        noteFault(until: now)
        let living = servers.filter { $0.isAlive && !$0.isDraining }
        guard let server = living.randomElement(using: &random) else { return }
        switch kind {
        case .crash: if living.count > 2 { end(server, noticed: 0.01...0.1) }
        case .vanish: if living.count > 2 { end(server, noticed: 2...6) }
        case .gracefulStop: if living.count > 2 { stop(server) }
        case .drain: if living.count > 2 { drain(server) }
        case .clientsVanish: clientsVanish(from: server)
        case .storePath: cutStorePath(of: server)
        case .peerPath: cutPeerPath(of: server)
        case .election: storeIsAway(for: 2 * Self.second)
        case .outage:
            storeRefuses = below(2) == 0
            storeIsAway(for: nanoseconds(plan.outage))
        case .compaction: store.compact()
        }
    }

    private func noteFault(until end: UInt64) {
        lastFaultAt = max(lastFaultAt, end)
    }

    // MARK: Servers

    /// A server ends. Its clients notice after a while, and another server takes its place.
    private func end(_ server: SimulatedServer, noticed: ClosedRange<Double>) {
        server.isAlive = false
        for (client, session) in server.sessions.sorted(by: { $0.key < $1.key }) {
            if clients[client].old?.server == server.index { clients[client].old = nil }
            guard clients[client].server == server.index, clients[client].session == session.number else { continue }
            // They dial a while apart, as real clients do.
            lostServer(client, after: nanoseconds(noticed) + nanoseconds(0...1))
        }
        queue.push(.linksBreak(server: server.index), at: now + nanoseconds(noticed))
        queue.push(.join, at: now + nanoseconds(0.5...3))
    }

    private func stop(_ server: SimulatedServer) {
        for (client, session) in server.sessions.sorted(by: { $0.key < $1.key }) {
            endSession(of: client, session.number, at: server)
        }
        with(server) { node, now in node.stop(now: now) }
        end(server, noticed: 0...0.1)
    }

    private func drain(_ server: SimulatedServer) {
        server.isDraining = true
        with(server) { node, now in node.drain(now: now) }
        for client in server.sessions.keys.sorted() { move(client, from: server, overlap: below(2) == 0) }
        let end = now + 4 * Self.second
        noteFault(until: end)
        queue.push(.heal(.drain(server: server.index)), at: end)
    }

    // MARK: Clients

    /// A part of a server's clients dial anew, and the server finds out later.
    private func clientsVanish(from server: SimulatedServer) {
        for (client, session) in server.sessions.sorted(by: { $0.key < $1.key }) where below(4) == 0 {
            guard clients[client].server == server.index, clients[client].session == session.number else { continue }
            lostServer(client, after: nanoseconds(0...1))
            let event = SimulationEvent.sessionEnds(server: server.index, client: client, session: session.number)
            queue.push(event, at: now + nanoseconds(3...10))
        }
    }

    // MARK: Paths

    private func direction() -> (to: Bool, from: Bool) {
        [(true, true), (true, false), (false, true)][below(3)]
    }

    private func cutStorePath(of server: SimulatedServer) {
        let (to, from) = direction()
        let end = now + nanoseconds(0.5...20)
        noteFault(until: end)
        server.store.isCutTo += to ? 1 : 0
        server.store.isCutFrom += from ? 1 : 0
        server.troubledAt = end
        for (scope, watch) in server.watches.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            let event = SimulationEvent.watchDies(server: server.index, scope, number: watch.number)
            queue.push(event, at: now + 7 * Self.second)
        }
        queue.push(.heal(.storePath(server: server.index, to: to, from: from)), at: end)
    }

    private func cutPeerPath(of server: SimulatedServer) {
        let (to, from) = direction()
        let end = now + nanoseconds(0.5...20)
        noteFault(until: end)
        server.peers.isCutTo += to ? 1 : 0
        server.peers.isCutFrom += from ? 1 : 0
        queue.push(.linksBreak(server: server.index), at: now + 5 * Self.second)
        queue.push(.heal(.peerPath(server: server.index, to: to, from: from)), at: end)
    }

    /// The links of a server that is dead, or whose path is cut, turn out to be broken.
    func linksBreak(of server: SimulatedServer) {
        guard !server.isAlive || !server.peers.isWhole else { return }
        server.hasLinks = false
        for other in servers where other !== server && (other.isAlive || server.isAlive) {
            link(server, other, isUp: false)
        }
    }

    private func linkAgain(_ server: SimulatedServer) {
        guard server.isAlive, server.peers.isWhole, !server.hasLinks else { return }
        server.hasLinks = true
        for other in servers where other !== server && other.isAlive && other.hasLinks {
            link(server, other, isUp: true)
        }
    }

    func storeIsAway(for time: UInt64) {
        storeAway += 1
        noteFault(until: now + time)
        storeTroubledAt = now + time
        for server in servers where server.isAlive {
            for scope in [StoreScope.servers, .ports] {
                guard let watch = server.watches[scope] else { continue }
                let event = SimulationEvent.watchDies(server: server.index, scope, number: watch.number)
                queue.push(event, at: now + 7 * Self.second)
            }
        }
        queue.push(.heal(.store), at: now + time)
    }

    func heal(_ fault: SimulatedFault) {
        switch fault {
        case .storePath(let index, let to, let from):
            servers[index].store.isCutTo -= to ? 1 : 0
            servers[index].store.isCutFrom -= from ? 1 : 0
            resumeWatches(of: servers[index])
        case .peerPath(let index, let to, let from):
            servers[index].peers.isCutTo -= to ? 1 : 0
            servers[index].peers.isCutFrom -= from ? 1 : 0
            linkAgain(servers[index])
        case .store:
            storeAway -= 1
            guard storeAway == 0 else { return }
            // Leases whose time has passed end now, unless the next sign of life is earlier.
            for server in servers where server.isAlive { resumeWatches(of: server) }
        case .drain(let index):
            if servers[index].isAlive { stop(servers[index]) }
        }
    }

    private func resumeWatches(of server: SimulatedServer) {
        for scope in [StoreScope.servers, .ports] {
            guard let watch = server.watches[scope] else { continue }
            server.watches[scope]?.isScheduled = true
            queue.push(.watch(server: server.index, scope, number: watch.number), at: now + delay)
        }
    }
}
