import Foundation
import Synchronization
import TestSupport

/// Long streams at all servers of a cluster, each of which is opened again when it has ended.
final class ClusterStreams: Sendable {
    private struct Record {
        var complete = 0
        var broken: [String: Int] = [:]
        var unopened = 0
        var bytes = 0
        var violations: [String] = []
        var unknownHomes = 0
    }

    private let cluster: ClusterNetwork
    private let log: FaultLog
    private let record = Mutex(Record())
    private let isStopping = Mutex(false)

    init(_ cluster: ClusterNetwork, _ log: FaultLog) {
        (self.cluster, self.log) = (cluster, log)
    }

    /// What must never happen.
    var violations: [String] { record.withLock { $0.violations } }
    /// The streams in words.
    var summary: String {
        record.withLock { record in
            let broken = record.broken.values.reduce(0, +)
            let byFault = record.broken.sorted { $0.key.localizedStandardCompare($1.key) == .orderedAscending }
                .map { "\n  \($0.key): \($0.value)" }.joined()
            return
                "\(record.complete) complete, \(broken) ended by faults, \(record.unopened) not opened, "
                + "\(record.unknownHomes) without a known home, \(record.bytes / 1_000) kB echoed\(byFault)"
        }
    }

    /// No stream is opened again.
    func stop() { isStopping.withLock { $0 = true } }

    /// Keeps one stream open at a server until ``stop()``.
    func keep(_ target: ClusterVisitors.Target, at entry: Int, seed: UInt64) async {
        var random = SplitMix64(state: seed)
        while !isStopping.withLock({ $0 }) {
            guard let socket = try? await cluster.visitor(target.port, at: cluster.places[entry], within: .seconds(60))
            else {
                try? await Task.sleep(for: .milliseconds(200))
                continue
            }
            socket.keepAlive(seconds: 2)
            let stream = PatternedStream(socket, &random)
            let homes = Mailbox<Int>()
            let address = "\(cluster.outside.address):\(socket.localPort)"
            let beginnings = Mailbox<ContinuousClock.Instant>()
            let time = Duration.milliseconds(Int.random(in: 4_000...25_000, using: &random))
            let begin = ContinuousClock.now
            let ending = await stream.run(expecting: target.greeting, for: time, seed: random.next()) { [cluster] in
                beginnings.put(.now)
                Task {
                    if let home = await cluster.home(of: address) { homes.put(home) }
                }
            }
            note(ending, stream, !beginnings.all.isEmpty, homes.all.first, target, entry, since: begin)
            if ending != .complete { try? await Task.sleep(for: .milliseconds(200)) }
        }
    }

    private func note(
        _ ending: PatternedStream.Ending,
        _ stream: PatternedStream,
        _ hasBegun: Bool,
        _ home: Int?,
        _ target: ClusterVisitors.Target,
        _ entry: Int,
        since begin: ContinuousClock.Instant
    ) {
        let place = "\(target.name) from server-\(entry) to \(home.map { "server-\($0)" } ?? "an unknown server")"
        let text =
            "\(FaultLog.clock) stream \(place), port \(stream.socket.localPort): \(ending) after \(ContinuousClock.now - begin) and \(stream.received) bytes, fault \(log.name)"
        let isExplained = home.map { log.explains(entry: entry, home: $0) } ?? true
        let violation: Bool =
            switch ending {
            case .complete: false
            case .wrong: true
            case .broken: hasBegun && !isExplained
            }
        record.withLock { record in
            record.bytes += stream.received
            if violation { record.violations.append(text) }
            switch ending {
            case .complete: record.complete += 1
            case .broken where hasBegun:
                record.broken[log.name, default: 0] += 1
                if home == nil { record.unknownHomes += 1 }
            case .broken: record.unopened += 1
            case .wrong: break
            }
        }
        if violation { print("VIOLATION \(text)") }
    }
}
