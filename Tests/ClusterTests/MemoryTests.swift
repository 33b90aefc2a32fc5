import Mux
import TestSupport
import Testing

@testable import Cluster

private typealias Script = ScriptedNode

/// They measure the whole process, so that they say something if they run alone:
/// `CULVERT_HEAVY=1 swift test --filter ClusterTests.MemoryTests`.
@Suite("Memory of a server in a cluster", .serialized, .enabled(if: TestRun.isHeavy)) struct MemoryTests {
    private static let count = 20_000

    /// The key of one of many clients, with texts as long as real ones.
    private static func key(_ number: Int) -> ClaimKey {
        let identity = Array("client-\(number)-of-many".utf8)
        let name = ClaimPlace.name("client-\(number).tunnels.example.com")
        return ClaimKey(
            name,
            part: "http:/",
            owner: .client(identity),
            member: ClaimMember(client: identity, instance: [1])
        )
    }

    @Test("a claim of a session takes about 1 KiB")
    func ownClaims() {
        var script = Script.joined()
        let before = SimulationReport.residentBytes
        var epoch: Int64 = 100
        for number in 0..<Self.count {
            _ = script.want(Self.key(number), session: Array(repeating: 7, count: 16))
            while let request = script.requests.first?.request {
                var reply = StoreReply.lease(LeaseID(epoch))
                if case .apply(let changes) = request {
                    reply = .answers(changes.map { _ in .granted(epoch: Revision(epoch)) })
                }
                epoch += 1
                script.reply(reply) { $0 == request }
            }
            _ = script.takeActions()
        }
        let bytes = (SimulationReport.residentBytes - before) / Self.count
        print("a claim of a session: \(bytes) bytes")
        #expect(script.node.claims.count == Self.count && bytes < 4_096)
    }

    @Test("a port or a name of another server takes less than 1 KiB")
    func known() {
        for isPort in [true, false] {
            var script = Script.joined()
            let before = SimulationReport.residentBytes
            for number in 0..<Self.count {
                let name = Self.key(number)
                let key = isPort ? ClaimKey(.tcp(UInt16(number)), owner: name.owner, member: name.member) : name
                let held = Script.held(key, Int64(20 + number), session: Array(repeating: 7, count: 16))
                if isPort {
                    script.event(Int64(20 + number), .claim(held))
                } else {
                    _ = script.find(key.place)
                    var snapshot = StoreSnapshot(revision: Revision(20))
                    snapshot.claims = [held]
                    script.reply(.snapshot(snapshot)) { $0 == .read(.place(key.place)) }
                }
                _ = script.takeActions()
            }
            let bytes = (SimulationReport.residentBytes - before) / Self.count
            print("a known \(isPort ? "port" : "name"): \(bytes) bytes")
            #expect(script.node.table.count == Self.count && bytes < 4_096)
        }
    }
}
