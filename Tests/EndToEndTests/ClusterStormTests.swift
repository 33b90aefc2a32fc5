import Foundation
import TestSupport
import Testing

/// Three servers, three members of etcd and HAProxy under one fault after another, while visitors come all the time.
@Suite(
    "A cluster in a storm of faults",
    .serialized,
    .enabled(if: TestRun.isHeavy && HostNetwork.notReadyReason == nil, "it lasts for minutes, and namespaces need root")
)
struct ClusterStormTests {
    private static let seed =
        ProcessInfo.processInfo.environment["CULVERT_CLUSTER_SEED"].flatMap { UInt64($0) } ?? .random(in: 1...9_999)
    private static let storm = Duration.seconds(TestRun.isSlow ? 600 : 180)
    private static let targets = [
        ClusterVisitors.Target(name: "alpha", port: 16_022), ClusterVisitors.Target(name: "beta", port: 16_024),
    ]

    @Test(
        "No visitor is at a wrong service or hangs, no byte of a stream is lost, and all is well soon after the last fault"
    )
    func storm() async throws {
        print("CULVERT_CLUSTER_SEED=\(Self.seed)")
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            let faults = ClusterFaults(cluster, try await cluster.startAll())
            try await cluster.startFront(Self.targets.map(\.port))
            var clients: [CulvertClient] = []
            var services: [TCPService] = []
            defer { for service in services { service.stop() } }
            for (number, target) in Self.targets.enumerated() {
                let service = try await cluster.outside.run { try Self.service(target) }
                let web = try await cluster.outside.run { try TCPService.http(target.name) }
                services += [service, web]
                let client = try cluster.client(
                    target.name,
                    port: target.port,
                    to: service.port,
                    remotes: ["http:\(target.host):127.0.0.1:\(web.port)"],
                    servers: number + 1
                )
                _ = try await client.tunnel(to: service.port)
                clients.append(client)
            }
            let visitors = ClusterVisitors(cluster, faults.log)
            let streams = ClusterStreams(cluster, faults.log)
            for place in 0..<3 {
                for target in Self.targets { try await expectGreeting(target, at: place, in: cluster) }
            }
            let processes = clients.map(\.process)
            let before = try (faults.servers + processes).map { try $0.descriptorCount }
            do {
                try await weather(faults, visitors, streams)
                try await expectCalm(faults, processes, before)
                print(
                    """
                    seed \(Self.seed): \(faults.log.all.count) faults, \(visitors.count) visitors
                    failures by fault:
                      \(visitors.failures.joined(separator: "\n  "))
                    streams: \(streams.summary)
                    longest visitor: \(visitors.longest)
                    """
                )
            } catch {
                Self.writeLogs(faults.all + processes)
                throw error
            }
            Self.writeLogs(faults.all + processes)
            #expect(visitors.violations == [])
            #expect(streams.violations == [])
            for process in processes { #expect(process.exitStatus == nil, "\(process)") }
        }
    }

    /// Runs faults beside visitors and streams, until the last one is healed and each port echoes at each server.
    private func weather(_ faults: ClusterFaults, _ visitors: ClusterVisitors, _ streams: ClusterStreams) async throws {
        let targets = Self.targets
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for entry in 0..<3 {
                for (number, target) in targets.enumerated() {
                    for copy in 0..<2 {
                        let seed = Self.seed &* 100 &+ UInt64(entry * 10 + number * 2 + copy)
                        tasks.addTask { await streams.keep(target, at: entry, seed: seed) }
                    }
                }
            }
            let arrivals = Task {
                await withDiscardingTaskGroup { group in
                    var random = SplitMix64(state: Self.seed &+ 1)
                    var number = 0
                    while !Task.isCancelled {
                        number += 1
                        let target = targets[Int.random(in: 0..<targets.count, using: &random)]
                        let up = Set(0..<3).subtracting(faults.log.down).sorted()
                        let server = up.randomElement(using: &random) ?? 0
                        let way: ClusterVisitors.Way =
                            switch Int.random(in: 0..<8, using: &random) {
                            case 0, 1: .front
                            case 2, 3: .name(server)
                            default: .server(server)
                            }
                        group.addTask { [number] in await visitors.visit(target, way, number: number) }
                        try? await Task.sleep(for: .milliseconds(50))
                    }
                }
            }
            do {
                try await storm(faults)
                try await expectEchoes(faults.cluster)
            } catch {
                streams.stop()
                arrivals.cancel()
                throw error
            }
            streams.stop()
            arrivals.cancel()
            await arrivals.value
            try await tasks.waitForAll()
        }
    }

    /// Brings all kinds of faults in turn, in an order of the seed, until the time is over.
    private func storm(_ faults: ClusterFaults) async throws {
        var random = SplitMix64(state: Self.seed)
        let end = ContinuousClock.now + Self.storm
        var kinds: [ClusterFault] = []
        while ContinuousClock.now < end {
            if kinds.isEmpty { kinds = ClusterFault.allCases.shuffled(using: &random) }
            // Times between faults are a part of the storm.
            try await Task.sleep(for: .seconds(Double.random(in: 2...6, using: &random)))
            try await faults.run(kinds.removeLast(), &random)
        }
    }

    /// Waits until each port is served by each server.
    private func expectEchoes(_ cluster: ClusterNetwork) async throws {
        let healed = ContinuousClock.now
        let deadline = healed + .seconds(15)
        await withTaskGroup(of: Void.self) { group in
            for place in 0..<3 {
                for target in Self.targets {
                    group.addTask {
                        while true {
                            if await greets(target, at: place, in: cluster) {
                                print(
                                    "\(target.name) at server-\(place) \(ContinuousClock.now - healed) after the last fault"
                                )
                                return
                            }
                            guard ContinuousClock.now < deadline else {
                                Issue.record("no echo of \(target.name) at server-\(place) 15 s after the last fault")
                                return
                            }
                            try? await Task.sleep(for: .milliseconds(100))
                        }
                    }
                }
            }
        }
    }

    /// Checks that no stream, claim or descriptor is left.
    private func expectCalm(_ faults: ClusterFaults, _ clients: [ChildProcess], _ before: [Int]) async throws {
        let cluster = faults.cluster
        try await soon("no stream is left, and each client has its sessions") {
            let statuses = await cluster.statuses()
            let streams = (0..<3).map { statuses[$0]?.sessions.map(\.streams).reduce(0, +) ?? -1 }
            // A carrier that reached another server than its session's is a stream between these servers.
            let carriers = statuses.values.flatMap(\.sessions).map(\.lanes.count).reduce(0, +)
            let relayed = statuses.values.flatMap { $0.cluster?.servers.map(\.streams) ?? [] }.reduce(0, +)
            let names = statuses.values.flatMap { $0.sessions.map(\.name) }.sorted()
            let waiting = statuses.values.map { $0.cluster?.waitingClaims ?? -1 }
            let claims = try Self.targets.map { try cluster.claims(of: $0.port) }
            guard streams == [0, 0, 0], relayed <= carriers, claims == [1, 2], waiting == [0, 0, 0],
                names == ["default/alpha", "default/beta", "default/beta"]
            else {
                return
                    "streams \(streams), streams between servers \(relayed) of \(carriers) carriers, claims \(claims), waiting claims \(waiting), sessions \(names)"
            }
            return nil
        }
        let names = (0..<3).map { "server-\($0)" } + Self.targets.map { "client \($0.name)" }
        try await soon("each process has about as many descriptors as before") {
            let after = try (faults.servers + clients).map { try $0.descriptorCount }
            let text = zip(names, zip(before, after)).map { "\($0) \($1.0) to \($1.1)" }.joined(separator: ", ")
            guard zip(before, after).allSatisfy({ $1 <= $0 + 12 }) else { return text }
            print("descriptors: \(text)")
            return nil
        }
    }

    /// - Parameter problem: what is not yet as expected; nil if all is.
    private func soon(_ what: String, _ problem: () async throws -> String?) async throws {
        let begin = ContinuousClock.now
        while let found = try await problem() {
            guard ContinuousClock.now < begin + .seconds(60) else {
                Issue.record("not within a minute: \(what). \(found)")
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        print("\(what): \(ContinuousClock.now - begin) after the storm")
    }

    private func expectGreeting(_ target: ClusterVisitors.Target, at place: Int, in cluster: ClusterNetwork)
        async throws
    {
        let deadline = ContinuousClock.now + .seconds(20)
        while await !greets(target, at: place, in: cluster) {
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure(description: "no \(target.name) at server-\(place)")
            }
        }
    }

    private func greets(_ target: ClusterVisitors.Target, at place: Int, in cluster: ClusterNetwork) async -> Bool {
        guard let visitor = try? await cluster.visitor(target.port, at: cluster.places[place], within: .seconds(5))
        else { return false }
        defer { visitor.close() }
        let greeting = try? await onThread { try visitor.receive(exactly: target.greeting.utf8.count) }
        guard greeting == Array(target.greeting.utf8) else { return false }
        return await visitor.echoes()
    }

    /// A service that says its name, and then echoes.
    private static func service(_ target: ClusterVisitors.Target) throws -> TCPService {
        try TCPService { socket in
            try socket.send(target.greeting)
            while true {
                let bytes = try socket.receive()
                if bytes.isEmpty { return }
                try socket.send(bytes)
            }
        }
    }

    /// Writes the outputs of all processes into the folder of `CULVERT_CLUSTER_LOGS`.
    private static func writeLogs(_ processes: [ChildProcess]) {
        guard let folder = ProcessInfo.processInfo.environment["CULVERT_CLUSTER_LOGS"] else { return }
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for process in processes {
            try? "\(process.output.text)\n\(process.errors.text)"
                .write(toFile: "\(folder)/\(process.name)-\(process.pid).log", atomically: true, encoding: .utf8)
        }
    }
}
