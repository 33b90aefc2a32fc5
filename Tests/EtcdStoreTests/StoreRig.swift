import Cluster
import EtcdStore
import Logging
import NIOCore
import TestSupport
import Testing

/// The stores that pass the same tests.
enum StoreKind: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case memory
    case etcd

    var testDescription: String { rawValue }

    /// The stores that can be tested on this machine.
    static var installed: [StoreKind] {
        Program.etcd.path != nil || TestRun.isCI ? allCases : [.memory]
    }
}

/// A store with what the tests need besides its protocol.
struct StoreRig: Sendable {
    let store: any ClaimStore
    /// Forgets the history.
    let compact: @Sendable () throws -> Void

    /// Runs a test with an empty store.
    static func run(_ kind: StoreKind, _ body: (StoreRig) async throws -> Void) async throws {
        switch kind {
        case .memory:
            let store = MemoryClaimStore()
            try await body(StoreRig(store: store) { store.compact() })
        case .etcd:
            try await Scenario.run { scenario in
                let cluster = try await EtcdCluster.start(members: 1, in: scenario)
                let store = try EtcdClaimStore(.testing(cluster.urls), logger: .silent)
                try await body(StoreRig(store: store) { try cluster.compact() })
                await store.close()
            }
        }
    }

    /// Makes one change.
    func apply(_ change: StoreChange) async throws -> StoreAnswer {
        let answers = try await store.apply([change])
        try #require(answers.count == 1)
        return answers[0]
    }

    /// Makes a claim that must be granted.
    @discardableResult
    func granted(_ claim: Claim, _ lease: LeaseID, over: Revision? = nil) async throws -> HeldClaim {
        let answer = try await apply(.claim(claim, lease: lease, over: over))
        guard case .granted(let epoch) = answer else {
            throw ScenarioFailure(description: "\(claim.key) is not granted: \(answer)")
        }
        return HeldClaim(claim, epoch: epoch)
    }

    /// The claims of a place.
    func claims(of place: ClaimPlace) async throws -> [HeldClaim] { try await store.read(.place(place)).claims }
}

extension EtcdConfiguration {
    /// A configuration for a machine that runs many tests at a time.
    static func testing(_ urls: [String], timeout: TimeAmount = .seconds(60)) throws -> EtcdConfiguration {
        var configuration = EtcdConfiguration(endpoints: try urls.map { try EtcdEndpoint($0) })
        configuration.requestTimeout = timeout
        return configuration
    }
}

extension Logger {
    /// A logger without output.
    static var silent: Logger { Logger(label: "etcd") { _ in SwiftLogNoOpLogHandler() } }

    /// A logger whose lines a test reads.
    static func memory(_ lines: Mailbox<String>) -> Logger { Logger(label: "etcd") { _ in LogMemory(lines: lines) } }
}

/// Keeps lines of the log.
private struct LogMemory: LogHandler {
    let lines: Mailbox<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let values = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.put("\(event.level) \(event.message) \(values.joined(separator: " "))")
    }
}

/// Clients of tests: `a1` is instance 1 of client `a`.
struct TestClient: Sendable {
    let id: [UInt8]
    let member: ClaimMember

    init(_ name: String, _ instance: UInt8 = 1) {
        id = Array(name.utf8)
        member = ClaimMember(client: id, instance: [instance])
    }

    /// A claim of the client itself, or of its group.
    func claim(_ place: ClaimPlace, part: String = "", group: String? = nil, session: UInt8 = 1) -> Claim {
        let owner = group.map { ClaimOwner(group: $0, proof: [1]) } ?? .client(id)
        return Claim(
            ClaimKey(place, part: part, owner: owner, member: member),
            home: ServerID(7),
            session: [0, 0, 0, 7, session],
            tunnel: 3,
            client: String(decoding: id, as: UTF8.self),
            since: 1_790_000_000
        )
    }
}

/// What a watch has reported.
final class WatchLog: Sendable {
    /// Changes with their revisions, one by one.
    let changes = Mailbox<(StoreEntryChange, Revision)>()
    /// Revisions of events that have no changes.
    let progress = Mailbox<Revision>()
    /// How the watch has ended; nil for an end without a failure.
    let ends = Mailbox<StoreFailure?>()
    private let task: Task<Void, Never>

    init(_ store: any ClaimStore, _ scope: StoreScope, from revision: Revision) {
        let stream = store.watch(scope, from: revision)
        task = Task { [changes, progress, ends] in
            do {
                for try await event in stream {
                    switch event {
                    case .changed(let entries, let revision): for entry in entries { changes.put((entry, revision)) }
                    case .progress(let revision): progress.put(revision)
                    }
                }
                ends.put(nil)
            } catch {
                ends.put(error as? StoreFailure)
            }
        }
    }

    /// Waits for the next changes.
    func next(_ count: Int = 1) async throws -> [StoreEntryChange] {
        var result: [StoreEntryChange] = []
        for _ in 0..<count { result.append(try await changes.next("change \(result.count + 1) of \(count)").0) }
        return result
    }

    /// Stops the watch.
    func cancel() async {
        task.cancel()
        await task.value
    }
}
