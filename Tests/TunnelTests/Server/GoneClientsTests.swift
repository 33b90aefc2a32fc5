import Mux
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("Clients that are gone")
struct GoneClientsTests {
    private func entry(_ instance: UInt8, _ reason: String = "cut") -> GoneClients.Entry {
        GoneClients.Entry(
            owner: PortOwner(client: [1], instance: [instance]),
            facts: SessionFacts(number: 1, client: "a", name: "a/\(instance)", software: "s", version: 1),
            origin: "192.0.2.1:5",
            places: [],
            since: 0,
            reason: reason
        )
    }

    @Test("The latest comes first, and beyond the limit the one that left first is forgotten")
    func limit() {
        var gone = GoneClients()
        for instance in 0..<UInt8(GoneClients.limit + 2) { gone.left(entry(instance)) }
        #expect(gone.latestFirst.count == GoneClients.limit)
        #expect(gone.latestFirst.first?.owner.instance == [UInt8(GoneClients.limit + 1)])
        #expect(gone.latestFirst.last?.owner.instance == [2])
    }

    @Test("A client is there once, with its last reason, and not while it has a session")
    func once() {
        var gone = GoneClients()
        gone.left(entry(1, "first"))
        gone.left(entry(2))
        gone.left(entry(1, "second"))
        #expect(gone.latestFirst.map(\.reason) == ["second", "cut"])
        gone.returned(entry(1).owner)
        #expect(gone.latestFirst.map(\.owner.instance) == [[2]])
    }

    @Test("A session that ends is a client's last one only if its process has no other")
    func last() {
        var table = SessionTable()
        let rigs = [ServerRig(client: 1, instance: 1), ServerRig(client: 1, instance: 2)]
        for rig in rigs { table.add(rig.handle) }
        #expect(rigs.map { table.remove($0.handle) } == [true, true])
        // Another session of the same process has replaced it.
        let again = [ServerRig(client: 1, instance: 3, number: 1), ServerRig(client: 1, instance: 3, number: 2)]
        for rig in again { table.add(rig.handle) }
        #expect(again.map { table.remove($0.handle) } == [false, true])
    }

    @Test("Tunnels that are wanted and refused are bounded, and leave once they are public or not wanted")
    func refused() {
        var tunnels = RefusedTunnels(limit: 2)
        for number in 0..<3 {
            tunnels.refused(BindRequest(tunnel: UInt16(number), address: "", port: 80), Refusal(.portNotAllowed, "no"))
        }
        tunnels.refused(BindRequest(tunnel: 1, address: "", port: 80), Refusal(.portNotAllowed, "never"))
        #expect(tunnels.all.map(\.reason.text) == ["no", "never"])
        tunnels.settled(0)
        #expect(tunnels.count == 1)
    }

    @Test("Of the streams of a tunnel that have ended the last ones are kept, the latest first")
    func endings() {
        var streams = EndedStreams()
        for number in 0..<20 {
            streams.append(
                EndedStream(
                    visitor: "\(number)",
                    destination: nil,
                    kind: .tcp,
                    since: 0,
                    ended: 1,
                    traffic: Traffic(),
                    ending: .finished
                )
            )
            #expect(streams.latestFirst.count == min(number + 1, EndedStreams.limit))
            #expect(streams.latestFirst.first?.visitor == "\(number)")
        }
        #expect(streams.latestFirst.map(\.visitor) == (12..<20).reversed().map { "\($0)" })
    }
}
