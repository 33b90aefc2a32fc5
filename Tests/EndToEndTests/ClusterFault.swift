import Foundation
import Synchronization

/// A fault of a cluster that heals after some seconds.
enum ClusterFault: String, CaseIterable, Sendable {
    /// A server ends by SIGKILL, or by SIGTERM in order, and starts again.
    case kill, terminate
    /// A server stands still.
    case pause
    /// A server does not reach etcd, the other servers, one of them, or any machine.
    case storeCut, peersCut, pathCut, cutOff
    /// A server's machine vanishes, and its process has ended when it is back.
    case powerOff
    /// One member of etcd dies, the leader or any.
    case leaderKill, memberKill
    /// All members of etcd die, or stand still.
    case storeKill, storePause
}

/// The servers and paths that a fault affects.
struct FaultReach: Sendable {
    /// Servers whose streams may end, by their places.
    var servers: Set<Int> = []
    /// Pairs of servers whose common streams may end.
    var paths: Set<Set<Int>> = []
    /// Whether these servers are there but do not answer.
    var isSilent = false
    /// The time after which the streams may end.
    var after = Duration.zero

    /// Whether the fault affects a stream between the server that its visitor has reached and the server of its session.
    func affects(entry: Int, home: Int) -> Bool {
        !servers.isDisjoint(with: [entry, home]) || (entry != home && paths.contains([entry, home]))
    }
}

/// The faults so far, and their times.
final class FaultLog: Sendable {
    struct Entry: Sendable {
        let number: Int
        let name: String
        let reach: FaultReach
        let begin: ContinuousClock.Instant
        var end: ContinuousClock.Instant?
    }

    private let entries = Mutex<[Entry]>([])

    /// Notes a fault before its first effect.
    func begin(_ name: String, _ reach: FaultReach) -> Int {
        let number = entries.withLock { entries in
            let number = entries.count + 1
            entries.append(Entry(number: number, name: name, reach: reach, begin: .now))
            return number
        }
        print("\(Self.clock) fault \(number): \(name)")
        return number
    }

    /// Notes that a fault is healed.
    func end(_ number: Int) {
        let time = entries.withLock { entries in
            entries[number - 1].end = .now
            return ContinuousClock.now - entries[number - 1].begin
        }
        print("\(Self.clock) fault \(number) healed after \(time.formatted(.units(fractionalPart: .show(length: 1))))")
    }

    /// All faults.
    var all: [Entry] { entries.withLock { $0 } }

    /// The latest fault, and the one before it.
    var present: [Entry] { entries.withLock { Array($0.suffix(2)) } }

    /// The latest fault in words.
    var name: String { present.last.map { "\($0.number) \($0.name)" } ?? "0 none" }

    /// Servers that do not answer now, or do not run.
    var down: Set<Int> {
        entries.withLock { entries in
            guard let last = entries.last, last.end == nil else { return [] }
            return last.reach.servers
        }
    }

    /// Whether the latest fault or the one before it may have ended a stream.
    func explains(entry: Int, home: Int) -> Bool {
        present.contains { $0.reach.affects(entry: entry, home: home) && .now >= $0.begin + $0.reach.after }
    }

    /// The part of an interval in which a server was silent.
    ///
    /// - Parameter server: the server's place; nil for any.
    func silence(of server: Int?, from begin: ContinuousClock.Instant, to end: ContinuousClock.Instant) -> Duration {
        all.filter { $0.reach.isSilent && (server.map($0.reach.servers.contains) ?? true) }
            .map { max(.zero, min(end, $0.end ?? end) - max(begin, $0.begin)) }
            .reduce(.zero, +)
    }

    /// The time of day, as in the logs of servers.
    static var clock: String {
        let date = Date()
        let text = date.ISO8601Format(.iso8601(timeZone: .gmt, includingFractionalSeconds: true))
        return String(text.dropFirst(11).prefix(12))
    }
}
