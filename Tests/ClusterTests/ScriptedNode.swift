import Mux
import Testing

@testable import Cluster

/// A node whose store is played by the test.
struct ScriptedNode {
    static let id = ServerID(0x0A0A_0A0A)
    static let peer = ServerID(0x0B0B_0B0B)
    static let peerRecord = ServerRecord(peer, peerURL: "wss://10.0.0.2:7443/peer", version: "2.0", since: 1)
    static let record = ServerRecord(id, peerURL: "wss://10.0.0.1:7443/peer", version: "2.0", since: 1)

    var node: ClusterNode
    var now = Instant(nanoseconds: 1_000_000_000_000)
    /// Requests that are not answered, in their order.
    private(set) var requests: [(id: ClusterNode.RequestID, request: StoreRequest)] = []
    /// Other actions that the test has not taken.
    private(set) var actions: [ClusterNode.Action] = []

    init(_ limits: ClusterLimits = ClusterLimits()) {
        node = ClusterNode(Self.record, limits: limits)
    }

    /// A node that has joined a cluster with another server: lease 1, the store at revision 10, nothing in flight.
    static func joined(_ limits: ClusterLimits = ClusterLimits()) -> ScriptedNode {
        var script = ScriptedNode(limits)
        script.with { $0.start(now: $1) }
        script.reply(.lease(LeaseID(1))) { $0 == .grantLease(seconds: 10) }
        script.reply(.answers([.granted(epoch: Revision(5))])) { $0 == .apply([.server(record, lease: LeaseID(1))]) }
        var snapshot = StoreSnapshot(revision: Revision(10))
        snapshot.servers = [record, peerRecord]
        script.reply(.snapshot(snapshot)) { $0 == .read(.servers) }
        script.reply(.snapshot(StoreSnapshot(revision: Revision(10)))) { $0 == .read(.ports) }
        #expect(script.requests.isEmpty)
        script.actions = []
        return script
    }

    // MARK: Inputs

    mutating func with(_ body: (inout ClusterNode, Instant) -> [ClusterNode.Action]) {
        for action in body(&node, now) {
            if case .request(let id, let request) = action {
                requests.append((id, request))
            } else {
                actions.append(action)
            }
        }
    }

    mutating func want(_ key: ClaimKey, session: [UInt8] = [1]) -> ClusterNode.ClaimID {
        let claim = Self.claim(key, session: session)
        let (id, all) = node.want(claim, now: now)
        with { _, _ in all }
        return id
    }

    mutating func find(_ place: ClaimPlace) -> ClusterNode.Lookup {
        let (lookup, all) = node.find(place, now: now)
        with { _, _ in all }
        return lookup
    }

    mutating func drop(_ id: ClusterNode.ClaimID) {
        with { $0.drop(id, now: $1) }
    }

    mutating func event(_ revision: Int64, _ changes: StoreEntryChange..., scope: StoreScope = .ports) {
        with { $0.receive(.changed(changes, at: Revision(revision)), of: scope, now: $1) }
    }

    /// Time passes, with a tick whenever one is due.
    mutating func pass(_ time: Duration) {
        let end = now + time
        var ticks = 0
        while let deadline = node.deadline, deadline <= end, ticks < 1_000 {
            now = max(now, deadline)
            with { $0.tick(now: $1) }
            ticks += 1
        }
        #expect(ticks < 1_000, "ticks in a loop")
        now = end
    }

    // MARK: The store

    /// Answers the first request that fits.
    mutating func reply(
        _ reply: StoreReply,
        _ location: SourceLocation = #_sourceLocation,
        to fits: (StoreRequest) -> Bool
    ) {
        guard let index = requests.firstIndex(where: { fits($0.request) }) else {
            Issue.record("no such request among \(requests.map(\.request))", sourceLocation: location)
            return
        }
        let id = requests.remove(at: index).id
        with { $0.receive(reply, to: id, now: $1) }
    }

    /// Answers the first request with changes.
    mutating func answer(_ answers: StoreAnswer..., location: SourceLocation = #_sourceLocation) {
        reply(.answers(answers), location) { if case .apply = $0 { true } else { false } }
    }

    mutating func granted(_ revision: Int64, location: SourceLocation = #_sourceLocation) {
        reply(.answers([.granted(epoch: Revision(revision))]), location) { if case .apply = $0 { true } else { false } }
    }

    static let lost = StoreReply.failed(.unreachable("no answer"))

    mutating func loseAll() {
        let all = requests
        requests = []
        for (id, _) in all { with { $0.receive(Self.lost, to: id, now: $1) } }
    }

    /// The changes on their way.
    var changes: [StoreChange] {
        requests.flatMap { entry -> [StoreChange] in
            if case .apply(let changes) = entry.request { changes } else { [] }
        }
    }

    mutating func takeActions() -> [ClusterNode.Action] {
        defer { actions = [] }
        return actions
    }

    /// The probe that was asked for.
    mutating func takeProbe(_ location: SourceLocation = #_sourceLocation) throws -> ClusterNode.ProbeID {
        let probes = takeActions().compactMap { action in
            if case .probe(let id, _, _) = action { id } else { nil }
        }
        return try #require(probes.first, sourceLocation: location)
    }

    // MARK: Values

    static func key(_ place: ClaimPlace = .tcp(8022), client: UInt8 = 1, instance: UInt8 = 1, part: String = "")
        -> ClaimKey
    {
        ClaimKey(
            place,
            part: part,
            owner: .client([client]),
            member: ClaimMember(client: [client], instance: [instance])
        )
    }

    static func claim(_ key: ClaimKey, home: ServerID = id, session: [UInt8] = [1]) -> Claim {
        Claim(key, home: home, session: session, tunnel: 1, client: "alice", since: 1)
    }

    static func held(_ key: ClaimKey, _ epoch: Int64, home: ServerID = peer, session: [UInt8] = [9]) -> HeldClaim {
        HeldClaim(claim(key, home: home, session: session), epoch: Revision(epoch))
    }
}
