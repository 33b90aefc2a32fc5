import Foundation
import Synchronization
import TestSupport

/// Brings faults over a cluster, one after another, and heals each.
final class ClusterFaults: Sendable {
    let cluster: ClusterNetwork
    let log = FaultLog()
    private let processes: Mutex<[ChildProcess]>
    private let former = Mutex<[ChildProcess]>([])

    /// - Parameter servers: the servers by place.
    init(_ cluster: ClusterNetwork, _ servers: [ChildProcess]) {
        self.cluster = cluster
        processes = Mutex(servers)
    }

    /// The servers that run now, by place.
    var servers: [ChildProcess] { processes.withLock { $0 } }
    /// All processes of servers.
    var all: [ChildProcess] { former.withLock { $0 } + servers }

    private func restart(_ server: Int) async throws {
        let process = try await cluster.start(server)
        processes.withLock { processes in
            former.withLock { $0.append(processes[server]) }
            processes[server] = process
        }
    }

    /// Brings one fault, and heals it.
    func run(_ fault: ClusterFault, _ random: inout SplitMix64) async throws {
        let server = Int.random(in: 0..<3, using: &random)
        let direction = ClusterPartitionTests.Direction.allCases.randomElement(using: &random) ?? .both
        let seconds = Double.random(in: 2...6, using: &random)
        let peers = (0..<3).filter { $0 != server }
        let name = "server-\(server)"
        switch fault {
        case .kill:
            try await during("kill -9 of \(name)", FaultReach(servers: [server])) {
                await servers[server].kill()
                try await wait(seconds)
                try await restart(server)
            }
        case .terminate:
            // The drain lasts up to 30 s.
            try await during("SIGTERM of \(name)", FaultReach(servers: [server], after: .seconds(28))) {
                servers[server].signal(SIGTERM)
                let end = try await servers[server].exitStatus(within: .seconds(50))
                guard end == .exited(0) else { throw ScenarioFailure(description: "\(name): \(end)") }
                try await restart(server)
            }
        case .pause:
            try await during("SIGSTOP of \(name)", FaultReach(servers: [server], isSilent: true)) {
                servers[server].signal(SIGSTOP)
                try await wait(seconds * 2.3)
                servers[server].signal(SIGCONT)
            }
        case .storeCut:
            try await during("\(name) cut from etcd, \(direction)", FaultReach()) {
                let members = Array(cluster.network.hosts[3..<6])
                try await direction.cut(cluster.places[server].host, from: members, in: cluster.network)
                try await wait(seconds + 9)
                try await cluster.network.heal()
            }
        case .peersCut:
            try await cut(server, from: peers, direction, for: seconds + 3)
        case .pathCut:
            try await cut(server, from: [peers.randomElement(using: &random) ?? 0], direction, for: seconds + 3)
        case .cutOff:
            try await during("\(name) cut off", FaultReach(servers: [server], isSilent: true)) {
                try await cluster.network.cutOff(cluster.places[server].host)
                try await wait(seconds * 2)
                try await cluster.network.heal()
            }
        case .powerOff:
            try await during("power failure of \(name)", FaultReach(servers: [server], isSilent: true)) {
                try await cluster.network.cutOff(cluster.places[server].host)
                await servers[server].kill()
                try await wait(seconds * 2)
                try await cluster.network.heal()
                try await restart(server)
            }
        case .leaderKill:
            try await kill([try await cluster.etcd.leader()], "etcd's leader", for: seconds)
        case .memberKill:
            try await kill([server], "etcd-\(server)", for: seconds)
        case .storeKill:
            try await kill([0, 1, 2], "all of etcd", for: 20)
        case .storePause:
            try await during("SIGSTOP of all of etcd", FaultReach()) {
                for member in 0..<3 { try cluster.etcd.pause(member) }
                try await wait(20)
                for member in 0..<3 { try cluster.etcd.resume(member) }
            }
        }
    }

    private func cut(
        _ server: Int,
        from peers: [Int],
        _ direction: ClusterPartitionTests.Direction,
        for seconds: Double
    ) async throws {
        let name = "server-\(server) cut from \(peers.map { "server-\($0)" }.joined(separator: ", ")), \(direction)"
        try await during(name, FaultReach(paths: Set(peers.map { [server, $0] }))) {
            let hosts = peers.map { cluster.places[$0].host }
            try await direction.cut(cluster.places[server].host, from: hosts, in: cluster.network)
            try await wait(seconds)
            try await cluster.network.heal()
        }
    }

    private func kill(_ members: [Int], _ name: String, for seconds: Double) async throws {
        try await during("kill -9 of \(name)", FaultReach()) {
            for member in members { try await cluster.etcd.kill(member) }
            try await wait(seconds)
            for member in members { try await cluster.etcd.restart(member) }
        }
    }

    private func during(_ name: String, _ reach: FaultReach, _ body: () async throws -> Void) async throws {
        let number = log.begin(name, reach)
        try await body()
        log.end(number)
    }

    /// Faults last for times: no event ends them.
    private func wait(_ seconds: Double) async throws { try await Task.sleep(for: .seconds(seconds)) }
}
