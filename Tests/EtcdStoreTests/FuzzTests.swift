import Cluster
import NIOCore
import TestSupport
import Testing

@testable import EtcdStore

/// Seeded mutations of the messages in Fixtures. Nothing traps, and what is read keeps its rules.
@Suite("Mutated messages of etcd")
struct FuzzTests {
    private static let entries = EtcdEntries(EtcdKeys(prefix: "culvert/"), logger: .silent)

    private static func seeds() throws -> [[UInt8]] { try Fuzzing.corpus("etcd/messages").map(\.bytes) }

    @Test("the events of mutated messages are in order, and each is once")
    func watches() throws {
        let seeds = try Self.seeds()
        var random = Fuzzing.generator(0xE7)
        let end = ContinuousClock.now + Fuzzing.time
        var found = 0
        while ContinuousClock.now < end {
            var order = EventOrder(from: Revision(1), probe: Self.entries.keys.probe(of: .ports), Self.entries)
            var lines = LineSplitter(limit: 16_384)
            var last = Revision.zero
            do {
                for _ in 0..<8 {
                    let message = Fuzzing.mutate(seeds.randomElement(using: &random) ?? [], &random)
                    for piece in Fuzzing.cut(message, &random) { lines.append(ByteBuffer(bytes: piece)) }
                    while let line = try lines.next() {
                        let decoded = JSONBytes.decoded(StreamLine<WatchAnswer>.self, line.readableBytesView)
                        if let error = decoded?.error { _ = Rejection(error, hiding: ["etcd"]) }
                        guard let answer = decoded?.result else { continue }
                        for event in try order.receive(answer) {
                            found += 1
                            let revision =
                                switch event {
                                case .changed(_, let revision), .progress(let revision): revision
                                }
                            #expect(revision > last)
                            last = revision
                        }
                        #expect(order.reported >= last)
                    }
                }
            } catch is EventOrder.Flaw {
            } catch is ConnectionFailure {
            }
        }
        #expect(found > 10)
    }

    @Test("mutated answers give entries, answers of the right number, or nothing")
    func answers() throws {
        let seeds = try Self.seeds()
        let key = TestClient("a").claim(.tcp(8_022)).key
        let claim = TestClient("a").claim(.tcp(8_023))
        let transaction = EtcdTransaction(
            [
                .withdraw(ServerID(7)), .claim(claim, lease: LeaseID(1), over: nil),
                .release(key, epoch: Revision(3)),
            ],
            Self.entries
        )
        var random = Fuzzing.generator(0xE8)
        let end = ContinuousClock.now + Fuzzing.time
        var found = 0
        while ContinuousClock.now < end {
            let message = Fuzzing.mutate(seeds.randomElement(using: &random) ?? [], &random)
            if let answer = JSONBytes.decoded(TransactionAnswer.self, message) {
                for isRepeated in [false, true] {
                    guard let answers = transaction.answers(answer, isRepeated: isRepeated) else { continue }
                    found += 1
                    #expect(answers.count == 3)
                }
            }
            _ = JSONBytes.decoded(LeaseAnswer.self, message)
            _ = Rejection(status: 500, body: message, hiding: ["a", "etcd"])
            guard let answer = JSONBytes.decoded(RangeAnswer.self, message) else { continue }
            for keyValue in answer.keyValues ?? [] { Self.check(keyValue) }
        }
        #expect(found > 10)
    }

    @Test("a mutated key or value is read as what it says, or not at all")
    func keysAndValues() throws {
        let seeds = try Self.seeds().flatMap { JSONBytes.decoded(RangeAnswer.self, $0)?.keyValues ?? [] }
        try #require(seeds.count == 3)
        var random = Fuzzing.generator(0xE9)
        let end = ContinuousClock.now + Fuzzing.time
        var found = 0
        while ContinuousClock.now < end {
            guard let seed = seeds.randomElement(using: &random) else { return }
            let (key, value) = (seed.key?.value ?? [], seed.value?.value ?? [])
            let isKey = Bool.random(using: &random)
            let mutated = KeyValue(
                key: EtcdBytes(isKey ? Fuzzing.mutate(key, &random) : key),
                value: EtcdBytes(isKey ? value : Fuzzing.mutate(value, &random)),
                modRevision: seed.modRevision,
                lease: nil
            )
            if Self.check(mutated) { found += 1 }
        }
        #expect(found > 10)
    }

    /// Checks that an entry's key leads back to its bytes, and its texts are within their bounds.
    ///
    /// - Returns: whether there is an entry.
    @discardableResult
    private static func check(_ keyValue: KeyValue) -> Bool {
        switch entries.entry(keyValue) {
        case .claim(let held, _)?:
            #expect(entries.keys.claim(held.claim.key) == keyValue.key?.value)
            #expect(held.epoch > .zero)
            #expect(held.claim.session.count <= EtcdLimits.session && held.claim.client.utf8.count <= EtcdLimits.text)
        case .server(let record)?:
            #expect(entries.keys.server(record.id) == keyValue.key?.value)
            #expect(record.peerURL.utf8.count <= EtcdLimits.text && record.version.utf8.count <= EtcdLimits.text)
        case nil:
            return false
        }
        return true
    }
}
