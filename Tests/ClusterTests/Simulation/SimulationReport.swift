import Foundation

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
    /// Changes that have arrived at the store.
    var arrivedChanges = 0
    /// Claims of living servers whose lease has ended.
    var endedClaims = 0
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
    /// Writes and signs of life in the last 10 s.
    var quiet = (writes: 0, keepAlives: 0)
    /// Seconds after an outage in which all claims were put back.
    var backAfter = 0.0
    /// Memory that the clients' arrival has taken.
    var residentBytes = 0
    /// Changes that were sent in each second.
    private var perSecond: [UInt64: Int] = [:]
    private(set) var text = ""

    mutating func note(_ sample: Int?, _ text: @autoclosure () -> String) {
        if let sample { trace[sample, default: []].append(text()) }
    }

    /// The changes that sessions and faults account for: one for each claim that is wanted, given back, taken over or put
    /// back. Twice as many may arrive, since each may need a second request with the epoch that the first one has found.
    var budget: Int { 2 * (wants + drops + probes + endedClaims) + 1_000 }

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

    /// The memory of this process; 0 if the system does not tell.
    static var residentBytes: Int {
        let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return (text?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }

    mutating func finish(_ simulation: ClusterSimulation) {
        let seconds = Double(simulation.now) / 1e9
        func rate(_ count: Int) -> String { "\(Int(Double(count) / seconds))/s" }
        let kinds = faults.map { "\($0.key) \($0.value)" }.sorted().joined(separator: ", ")
        let isLarge = residentBytes > 64 << 20
        let each = residentBytes / max(1, simulation.store.claimCount)
        let memory = isLarge ? "; \(residentBytes >> 20) MiB, \(each) bytes for each claim in all parts" : ""
        let back = backAfter > 0 ? "; claims were put back within \(backAfter) s" : ""
        text = """
            \(simulation.store.claimCount) claims of \(simulation.clients.count) clients, \
            \(simulation.store.serverCount) servers, \(Int(seconds)) s, \(events) events\(memory)\(back)
            faults: \(kinds)
            requests \(requests) (\(rate(requests))): \(keepAlives) signs of life, \(reads) reads, \(applies) with \
            \(changes) changes (\(arrivedChanges) arrived, budget \(budget)); most changes in a second \(peak); last 10 s: \(quiet.keepAlives) signs of life, \
            \(quiet.writes) writes
            claims: wanted \(wants), granted \(grants), given back \(drops), held by another \(held), lost \(lost), \
            without store \(unreachable); probes \(probes), notices \(notices)
            watches: \(watchEvents) events with \(watchedChanges) changes (\(rate(watchedChanges)))
            visitors: \(visitors.arrived) arrived, \(visitors.moved) moved, \(visitors.unknown) unknown, \
            \(visitors.deadSession) at dead sessions, \(visitors.withoutStore) without store; \(lookups) lookups
            """
    }
}
