import Cluster
import EtcdStore
import Foundation
import NIOCore
import TestSupport
import Testing

/// Figures of a real etcd, for the handbook's page of clusters.
@Suite(
    "The capacity of etcd",
    .enabled(if: TestRun.isHeavy && Program.etcd.path != nil, "it measures")
)
struct EtcdCapacityTests {
    private static let count = 100_000
    private static let batch = 60

    private struct Status: Decodable {
        let dbSize: String?
        let dbSizeInUse: String?
    }

    @Test("three members take a hundred thousand claims, whose number each second, size and signs of life are printed")
    func claims() async throws {
        try await Scenario.run { scenario in
            let cluster = try await EtcdCluster.start(in: scenario)
            let store = try EtcdClaimStore(.testing(cluster.urls), logger: .silent)
            let leases = try await withThrowingTaskGroup(of: LeaseID.self) { group in
                for _ in 0..<(Self.count / 1_000) { group.addTask { try await store.grantLease(seconds: 600) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let empty = try Self.bytes(cluster)
            let begin = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<8 {
                    group.addTask {
                        for first in stride(from: lane * Self.batch, to: Self.count, by: 8 * Self.batch) {
                            let changes = (first..<min(first + Self.batch, Self.count)).map { number in
                                StoreChange.claim(
                                    TestClient("client-\(number)").claim(
                                        .name("name-\(number).example.com"),
                                        part: "http:"
                                    ),
                                    lease: leases[number / 1_000],
                                    over: nil
                                )
                            }
                            let answers = try await store.apply(changes)
                            try require(answers.count == changes.count, "\(answers.count) answers")
                        }
                    }
                }
                try await group.waitForAll()
            }
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            let bytes = (try Self.bytes(cluster) - empty) / Self.count
            let signs = ContinuousClock.now
            for _ in 0..<10 {
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for lease in leases { group.addTask { try await store.keepAlive(lease) } }
                    for try await isAlive in group { try require(isAlive, "a lease has ended") }
                }
            }
            let perSecond = Double(10 * leases.count) / ((ContinuousClock.now - signs) / .seconds(1))
            print(
                "\(Int(Double(Self.count) / seconds)) claims a second, \(bytes) bytes for each,",
                "\(Int(perSecond)) signs of life a second"
            )
            #expect(bytes < 2_000)
            await store.close()
        }
    }

    /// The size of the database in use.
    private static func bytes(_ cluster: EtcdCluster) throws -> Int {
        let answer = try cluster.post("/v3/maintenance/status", "{}")
        let status = try JSONDecoder().decode(Status.self, from: Data(answer.utf8))
        return Int(status.dbSizeInUse ?? status.dbSize ?? "") ?? 0
    }
}
