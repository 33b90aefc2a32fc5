import Mux
import Testing

@testable import TunnelServer

@Suite("The table of sessions")
struct SessionTableTests {
    private let alice = [ServerRig(client: 1, instance: 1), ServerRig(client: 1, instance: 2)]
    private let bob = ServerRig(client: 2)

    private func table() -> SessionTable {
        var table = SessionTable()
        for rig in alice + [bob] { table.add(rig.handle) }
        return table
    }

    private func time(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// The result of a request for room by a process of the first client.
    private func room(_ table: inout SessionTable, instance: UInt8, limit: Int) -> String {
        switch table.makeRoom(for: PortOwner(client: [1], instance: [instance]), limit: limit) {
        case .free: "free"
        case .freedBy(let session): "freed by \(session.id)"
        case .none: "none"
        }
    }

    @Test("A session is found by its id until it is removed, and a second removal has no effect")
    func find() {
        var table = table()
        #expect(table.all[[2, 1]] === bob.handle && table.all.count == 3)
        for _ in 0..<2 { table.remove(bob.handle) }
        #expect(table.all[[2, 1]] == nil && table.all.count == 2)
    }

    @Test("A client below its limit has room, and sessions of other clients do not count")
    func free() {
        var table = table()
        #expect(room(&table, instance: 3, limit: 3) == "free")
    }

    @Test("A client at its limit has no room if all its sessions have carriers")
    func none() {
        var table = table()
        bob.handle.waitsUntil = time(1)
        #expect(room(&table, instance: 3, limit: 2) == "none" && table.all.count == 3)
    }

    @Test("The session that has waited longest for a carrier makes room for a new one of its client")
    func longestWaiting() {
        var table = table()
        alice[0].handle.waitsUntil = time(20)
        alice[1].handle.waitsUntil = time(10)
        #expect(room(&table, instance: 3, limit: 2) == "freed by [1, 2]")
        #expect(room(&table, instance: 3, limit: 2) == "free")
    }

    @Test("A session of the same process makes room before those of others")
    func sameProcess() {
        var table = table()
        alice[0].handle.waitsUntil = time(20)
        alice[1].handle.waitsUntil = time(10)
        #expect(room(&table, instance: 1, limit: 2) == "freed by [1, 1]")
    }
}
