import Mux

@testable import Cluster

/// Clients and their sessions.
extension ClusterSimulation {
    /// The id of a session: its home, its client and its number.
    static func sessionID(_ home: ServerID, _ client: Int, _ number: UInt32) -> [UInt8] {
        home.bytes + ServerID(UInt32(truncatingIfNeeded: client)).bytes + ServerID(number).bytes
    }

    static func session(_ id: [UInt8]) -> (client: Int, number: UInt32)? {
        guard let client = ServerID(ofSession: id.dropFirst(4)), let number = ServerID(ofSession: id.dropFirst(8))
        else {
            return nil
        }
        return (Int(client.number), number.number)
    }

    /// Whether a session still has its client.
    func isConnected(_ client: Int, _ number: UInt32, at server: SimulatedServer) -> Bool {
        guard clients.indices.contains(client) else { return false }
        if clients[client].session == number { return clients[client].server == server.index }
        return clients[client].old?.session == number && clients[client].old?.server == server.index
    }

    func connect(_ client: Int, after delay: UInt64) {
        guard !clients[client].isConnecting else { return }
        clients[client].isConnecting = true
        queue.push(.connect(client: client), at: now + delay)
    }

    func chooseServer(_ client: Int) {
        let server = servers[below(servers.count)]
        guard server.isAlive, !server.isDraining else {
            return queue.push(.connect(client: client), at: now + nanoseconds(0.02...0.2))
        }
        queue.push(.connected(client: client, server: server.index), at: now + nanoseconds(0.01...0.1))
    }

    func connected(_ client: Int, _ server: SimulatedServer) {
        guard server.isAlive, !server.isDraining else {
            return queue.push(.connect(client: client), at: now + nanoseconds(0.02...0.2))
        }
        // A server that has an earlier session of a client ends it.
        if let earlier = server.sessions[client] { endSession(of: client, earlier.number, at: server) }
        clients[client].isConnecting = false
        clients[client].session += 1
        (clients[client].server, clients[client].granted, clients[client].refusals) = (server.index, 0, 0)
        let number = clients[client].session
        let claims = [ClusterNode.ClaimID?](repeating: nil, count: clients[client].keys.count)
        server.sessions[client] = SimulatedServer.Session(number: number, claims: claims)
        for place in clients[client].keys.indices { want(client, place, at: server) }
    }

    private func want(_ client: Int, _ place: Int, at server: SimulatedServer) {
        guard let session = server.sessions[client] else { return }
        report.wants += 1
        let claim = Claim(
            clients[client].keys[place],
            home: server.node.id,
            session: Self.sessionID(server.node.id, client, session.number),
            tunnel: UInt16(truncatingIfNeeded: place),
            client: "",
            since: Int64(now / Self.second)
        )
        let (id, actions) = server.node.want(claim, now: instant)
        server.claims[id] = (client, place)
        server.sessions[client]?.claims[place] = id
        perform(actions, server)
    }

    func granted(_ id: ClusterNode.ClaimID, at server: SimulatedServer) {
        guard let (client, place) = server.claims[id] else { return fail("a claim that is not wanted is granted") }
        let key = clients[client].keys[place]
        server.routes[key.place, default: []].append(client)
        report.grants += 1
        guard let number = server.sessions[client]?.number, clients[client].session == number,
            clients[client].server == server.index
        else { return }
        clients[client].granted |= 1 << UInt8(place)
        clients[client].refusals = 0
    }

    /// A claim is refused, or lost: the client wants it again after a pause.
    func refused(_ id: ClusterNode.ClaimID, _ refusal: ClaimRefusal?, at server: SimulatedServer) {
        guard let (client, place) = server.claims.removeValue(forKey: id) else {
            return fail("a claim that is not wanted is refused")
        }
        removeRoute(client, place, at: server)
        switch refusal {
        case nil: report.lost += 1
        case .storeUnreachable: report.unreachable += 1
        case .held, .heldBySame: report.held += 1
        case .limit: fail("a server has too many claims")
        }
        guard let session = server.sessions[client] else { return }
        server.sessions[client]?.claims[place] = nil
        if clients[client].session == session.number { clients[client].granted &= ~(1 << UInt8(place)) }
        clients[client].refusals += 1
        // 1 s, 2 s, and then 3 s.
        let pause = Double(min(clients[client].refusals, 3))
        let retry = SimulationEvent.retry(client: client, session: session.number, place: place)
        queue.push(retry, at: now + nanoseconds(pause * 0.8...pause))
    }

    func retry(_ client: Int, _ number: UInt32, _ place: Int) {
        guard clients[client].session == number, let index = clients[client].server else { return }
        let server = servers[index]
        guard server.isAlive, let session = server.sessions[client], session.number == number,
            session.claims[place] == nil
        else { return }
        want(client, place, at: server)
    }

    private func removeRoute(_ client: Int, _ place: Int, at server: SimulatedServer) {
        let key = clients[client].keys[place].place
        server.routes[key]?.removeAll { $0 == client }
        if server.routes[key]?.isEmpty == true { server.routes[key] = nil }
    }

    /// A server ends a session, or has found out that its client is gone.
    func endSession(of client: Int, _ number: UInt32, at server: SimulatedServer) {
        guard server.isAlive, let session = server.sessions[client], session.number == number else { return }
        server.sessions[client] = nil
        for (place, id) in session.claims.enumerated() {
            guard let id else { continue }
            server.claims[id] = nil
            removeRoute(client, place, at: server)
            report.drops += 1
            with(server) { node, now in node.drop(id, now: now) }
        }
        // The client is told, unless it has gone itself.
        guard clients[client].session == number, clients[client].server == server.index else { return }
        clients[client].server = nil
        connect(client, after: nanoseconds(0...1))
    }

    /// A client has lost its server, and finds another one.
    func lostServer(_ client: Int, after delay: UInt64) {
        clients[client].server = nil
        connect(client, after: delay)
    }

    /// A client moves to another server. Its earlier session works until it has done so.
    func move(_ client: Int, from server: SimulatedServer, overlap: Bool) {
        let number = clients[client].session
        guard clients[client].server == server.index, !clients[client].isConnecting else { return }
        let end = SimulationEvent.oldSessionEnds(client: client, session: number)
        if overlap {
            clients[client].old = (server.index, number)
            connect(client, after: 0)
            queue.push(end, at: now + nanoseconds(0.2...3))
        } else {
            clients[client].old = (server.index, number)
            oldSessionEnds(client, number)
            lostServer(client, after: nanoseconds(0...1))
        }
    }

    func oldSessionEnds(_ client: Int, _ number: UInt32) {
        guard let old = clients[client].old, old.session == number else { return }
        clients[client].old = nil
        endSession(of: client, number, at: servers[old.server])
    }
}
