@testable import Cluster

/// What a simulation has counted.
struct SimulationReport {
    struct Visitors {
        var arrived = 0
        /// The place had no claim, as far as the server knew.
        var unknown = 0
        /// The home was not reached, or did not have the place any more.
        var moved = 0
        /// The session's client was gone, and the server did not know yet.
        var deadSession = 0
        var withoutStore = 0
        var full = 0
    }

    var events = 0
    var requests = 0
    var keepAlives = 0
    var reads = 0
    var applies = 0
    var changes = 0
    var wants = 0
    var drops = 0
    var grants = 0
    var lost = 0
    var held = 0
    var unreachable = 0
    var probes = 0
    var notices = 0
    var portChanges = 0
    var watchEvents = 0
    var watchedChanges = 0
    var lookups = 0
    var visitors = Visitors()
    /// Visitors that have to arrive, and have.
    var samples: Set<Int> = []
    /// What else has happened to them.
    var trace: [Int: [String]] = [:]
    var faults: [FaultKind: Int] = [:]
    /// Writes and requests of the last 10 s.
    var quiet = (writes: 0, requests: 0)
    /// Changes that were sent in each second.
    private var perSecond: [UInt64: Int] = [:]
    private(set) var text = ""

    mutating func note(_ sample: Int?, _ text: @autoclosure () -> String) {
        if let sample { trace[sample, default: []].append(text()) }
    }

    var peak: Int { perSecond.values.max() ?? 0 }

    mutating func note(_ request: StoreRequest, _ now: UInt64) {
        requests += 1
        switch request {
        case .keepAlive: keepAlives += 1
        case .read: reads += 1
        case .apply(let all):
            applies += 1
            changes += all.count
            perSecond[now / ClusterSimulation.second, default: 0] += all.count
        case .grantLease, .revoke: break
        }
    }

    mutating func finish(_ simulation: ClusterSimulation) {
        let seconds = Double(simulation.now) / 1e9
        func rate(_ count: Int) -> String { "\(Int(Double(count) / seconds))/s" }
        let kinds = faults.map { "\($0.key) \($0.value)" }.sorted().joined(separator: ", ")
        text = """
            \(simulation.store.claimCount) claims of \(simulation.clients.count) clients, \
            \(simulation.store.serverCount) servers, \(Int(seconds)) s, \(events) events
            faults: \(kinds)
            requests \(requests) (\(rate(requests))): \(keepAlives) signs of life, \(reads) reads, \(applies) with \
            \(changes) changes; most changes in a second \(peak); last 10 s: \(quiet.requests) requests, \
            \(quiet.writes) writes
            claims: wanted \(wants), granted \(grants), given back \(drops), held by another \(held), lost \(lost), \
            without store \(unreachable); probes \(probes), notices \(notices)
            watches: \(watchEvents) events with \(watchedChanges) changes (\(rate(watchedChanges)))
            visitors: \(visitors.arrived) arrived, \(visitors.moved) moved, \(visitors.unknown) unknown, \
            \(visitors.deadSession) at dead sessions, \(visitors.withoutStore) without store; \(lookups) lookups
            """
    }
}
