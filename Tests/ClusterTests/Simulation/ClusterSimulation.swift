import Mux
import Platform
import TestSupport

@testable import Cluster

/// Many servers, their store, clients and visitors in virtual time. A seed determines everything.
final class ClusterSimulation {
    /// How much is simulated, and for how long.
    struct Plan {
        var servers = 10
        var clients = 2_000
        /// Clients that want a port besides their name.
        var ports = 200
        /// Pairs of clients that want the same name, and pairs that want the same port.
        var contested = 50
        /// Groups of three clients that share a name.
        var groups = 30
        /// Seconds in which all clients arrive.
        var arrival = 5.0
        /// Seconds in which faults begin.
        var faultTime = 40.0
        var faults = 25
        var visitorsPerSecond = 100
        /// Kinds of faults; others do not happen.
        var kinds = FaultKind.allCases
        /// Seconds for which the store is away in an outage.
        var outage = 2.0...15.0
        /// Requests of a million that are lost on each way, or performed late, and answers that come twice.
        var lost = 3_000
        var late = 1_000
        var repeated = 20_000
        /// The text of a place whose changes are printed.
        var trace = getenv("CULVERT_CLUSTER_TRACE").map { String(cString: $0) }
    }

    static let second: UInt64 = 1_000_000_000
    static let millisecond: UInt64 = 1_000_000

    let plan: Plan
    var random: SplitMix64
    var queue = SimulationQueue()
    var now: UInt64 = 0
    var store: SimulatedStore
    /// How often the store is away at present.
    var storeAway = 0
    var storeTroubledAt: UInt64?
    /// Whether requests fail at once while the store is away. Otherwise nothing answers.
    var storeRefuses = false
    var servers: [SimulatedServer] = []
    var indexes: [ServerID: Int] = [:]
    var clients: [SimulatedClient] = []
    var report = SimulationReport()
    var failure: String?
    var visitorRounds = 0
    /// When faults stop, and when the last one has ended.
    var faultsEndAt: UInt64 = 0
    var lastFaultAt: UInt64 = 0

    var instant: Instant { Instant(nanoseconds: now) }

    init(seed: UInt64, plan: Plan) {
        self.plan = plan
        random = SplitMix64(state: seed)
        var contested: Set<ClaimPlace> = []
        for pair in 0..<plan.contested {
            contested.formUnion([.name("shared-\(pair).tunnels.example.com"), .tcp(UInt16(5_000 + pair))])
        }
        store = SimulatedStore(contested: contested)
        clients = (0..<plan.clients).map { Self.client($0, plan) }
    }

    private static func client(_ index: Int, _ plan: Plan) -> SimulatedClient {
        let identity = Array("client-\(index)".utf8)
        let owner = ClaimOwner.client(identity)
        let member = ClaimMember(client: identity, instance: [1])
        var keys = [
            ClaimKey(.name("client-\(index).tunnels.example.com"), part: "http:/", owner: owner, member: member)
        ]
        if index < plan.ports { keys.append(ClaimKey(.tcp(UInt16(10_000 + index)), owner: owner, member: member)) }
        if index < plan.contested * 2 {
            keys.append(
                ClaimKey(.name("shared-\(index / 2).tunnels.example.com"), part: "http:/", owner: owner, member: member)
            )
        } else if index < plan.contested * 4 {
            let port = UInt16(5_000 + index / 2 - plan.contested)
            keys.append(ClaimKey(.tcp(port), owner: owner, member: member))
        } else if index < plan.contested * 4 + plan.groups * 3 {
            let group = ClaimOwner(group: "group-\(index / 3)", proof: [7])
            let name = ClaimPlace.name("group-\(index / 3).tunnels.example.com")
            keys.append(ClaimKey(name, part: "http:/", owner: group, member: member))
        }
        return SimulatedClient(keys: keys)
    }

    /// Servers start, and all clients arrive but the last ones.
    func start(without absent: Int = 0) {
        for _ in 0..<plan.servers { addServer() }
        for client in clients.indices.dropLast(absent) {
            connect(client, after: Self.second + nanoseconds(0...plan.arrival))
        }
        queue.push(.visitors, at: Self.second)
        lastFaultAt = Self.second * 2 + UInt64(plan.arrival * 1e9)
    }

    /// Runs everything: arrivals, faults, and the time after them.
    func run() {
        let residentBytes = SimulationReport.residentBytes
        start()
        let begin = lastFaultAt
        run(until: begin)
        report.residentBytes = SimulationReport.residentBytes - residentBytes
        faultsEndAt = begin + UInt64(plan.faultTime * 1e9)
        for _ in 0..<plan.faults { queue.push(.fault, at: begin + nanoseconds(0...plan.faultTime)) }
        run(until: faultsEndAt)
        run { lastFaultAt <= now }
        run(until: lastFaultAt + 15 * Self.second)
        checkThatAllIsRouted()
        // Requests that were performed late have been found, and all leases of the dead have ended.
        run(until: lastFaultAt + 45 * Self.second)
        checkThatNothingIsLeftOver()
        checkQuietTime()
        checkBudget()
        report.finish(self)
    }

    func run(until end: UInt64) {
        run { now >= end }
        now = max(now, end)
    }

    func run(until isOver: () -> Bool) {
        while failure == nil, !isOver(), let next = queue.pop() {
            now = next.at
            report.events += 1
            handle(next.event)
            if let failure = store.failure { fail(failure) }
        }
    }

    func fail(_ text: @autoclosure () -> String) {
        if failure == nil { failure = "after \(Double(now) / 1e9) s: \(text())" }
    }

    // MARK: Chance

    func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    /// Whether something happens that does so in this many of a million cases.
    func happens(_ count: Int) -> Bool { count > 0 && below(1_000_000) < count }

    /// Whether single messages are lost. That is a fault too, and ends with the others.
    var hasLosses: Bool { now <= max(faultsEndAt, lastFaultAt) }

    /// Whether a message is lost.
    var isLost: Bool { hasLosses && happens(plan.lost) }

    func nanoseconds(_ seconds: ClosedRange<Double>) -> UInt64 {
        UInt64(Double.random(in: seconds, using: &random) * 1e9)
    }

    /// The time of a message between a server and the store, or another server.
    var delay: UInt64 { Self.millisecond + UInt64(below(9_000_000)) }

    // MARK: Events

    private func handle(_ event: SimulationEvent) {
        switch event {
        case .tick(let server): tick(servers[server])
        case .request(let server, let id, let request): arrive(request, id, of: servers[server])
        case .reply(let server, let id, let reply):
            with(servers[server]) { node, now in node.receive(reply, to: id, now: now) }
        case .watch(let server, let scope, let number): deliver(scope, number, to: servers[server])
        case .watchDies(let server, let scope, let number): watchDies(scope, number, of: servers[server])
        case .lease(let id): lease(id)
        case .probe(let server, let id, let home, let session): probe(id, from: server, to: home, session)
        case .answer(let server, let id, let isAlive):
            with(servers[server]) { node, now in node.answered(id, isAlive: isAlive, now: now) }
        case .taken(let sender, let server, let key): taken(key, from: servers[sender], at: servers[server])
        case .linksBreak(let server): linksBreak(of: servers[server])
        case .connect(let client): chooseServer(client)
        case .connected(let client, let server): connected(client, servers[server])
        case .retry(let client, let session, let place): retry(client, session, place)
        case .oldSessionEnds(let client, let session): oldSessionEnds(client, session)
        case .sessionEnds(let server, let client, let session): endSession(of: client, session, at: servers[server])
        case .visitors: visitors()
        case .fault: fault()
        case .heal(let fault): heal(fault)
        case .join: addServer()
        }
    }
}
