import NIOCore
import NetworkAddress
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

@Suite("The admission of flows at a public UDP port")
struct FlowAdmissionTests {
    /// A session with one UDP port.
    private func rig(
        _ change: (inout ServerConfiguration) -> Void = { _ in }
    ) throws -> (rig: ServerRig, listener: FakePortListener) {
        let rig = ServerRig(change)
        let request = BindRequest(tunnel: 0, address: "", port: 5_353, kind: .udp)
        try rig.receive(PeerFrame(0x10, 0, request.frame.payload))
        #expect(try rig.sent() == ["BOUND 0 at 5353"] && rig.binder.asked == [.udp(5_353)])
        return (rig, try #require(rig.binder.listeners.first))
    }

    private func sender(_ address: String, _ port: Int = 5_000) throws -> SocketAddress {
        try SocketAddress(ipAddress: address, port: port)
    }

    @Test("The limits of visitors hold for flows, and a flow that ends makes room")
    func limits() throws {
        let (rig, listener) = try rig { configuration in
            configuration.visitors.connections = 1
            configuration.visitors.deny = VisitorLimits.blocks("192.0.2.0/24") ?? []
        }
        #expect(try listener.flow(from: sender("192.0.2.9")) == nil)
        let first = try #require(try listener.flow(from: sender("203.0.113.9")))
        #expect(try listener.flow(from: sender("203.0.113.10")) == nil)
        #expect(rig.log.count("visitor refused") == 1, "too many: another flow may give way")
        first.onEnd?(nil)
        #expect(try listener.flow(from: sender("203.0.113.10")) != nil)
    }

    @Test("A flow names its tunnel, its sender and its kind")
    func request() throws {
        let (_, listener) = try rig()
        let opening = try #require(try listener.flow(from: sender("203.0.113.9")))
        #expect(opening.request == OpenRequest(tunnel: 0, kind: .udp, visitor: "203.0.113.9:5000"))
        #expect(opening.identity.kind == .udp)
    }

    @Test("There is no flow once the port is given back, or once the session drains")
    func closed() throws {
        let (rig, listener) = try rig()
        try rig.receive(PeerFrame(0x13, 0, Unbinding(tunnel: 0).frame.payload))
        #expect(try listener.flow(from: sender("203.0.113.9")) == nil && listener.isClosed)
        let (other, second) = try self.rig()
        _ = other.session.drain(Refusal(.goingAway, "stop"))
        other.loop.run()
        #expect(try second.flow(from: sender("203.0.113.9")) == nil)
    }

    @Test("The bandwidth of a client and of a tunnel is in a flow's policy")
    func bandwidth() throws {
        let (_, listener) = try rig { $0.visitors.bandwidth = 70_000 }
        let opening = try #require(try listener.flow(from: sender("203.0.113.9")))
        // The burst is 65,536 bytes, and datagrams may overdraw as much.
        for _ in 0..<3 { #expect(opening.policy.admitsRead(65_000)) }
        #expect(!opening.policy.admitsRead(1))
        #expect(opening.policy.admitsWrite(1_200), "each direction has its own")
    }

    @Test("A reload that takes the port's number from the client closes its UDP port")
    func rights() throws {
        let (rig, listener) = try rig()
        rig.update { $0.allowedPorts = PortRanges(ranges: [8_000...8_010]) }
        #expect(listener.isClosed)
        #expect(try rig.sent() == ["UNBOUND 0: port 5353 is not allowed here; allowed: 8000-8010"])
    }

    @Test("A service's state reaches the operator until its port is closed")
    func health() throws {
        let (rig, _) = try rig()
        let down = TunnelState(tunnel: 0, isUp: false, reason: "it refused").frame.payload
        try rig.receive(PeerFrame(0x14, 0, down))
        #expect(rig.session.statistics.map(\.health) == [.down("it refused")])
        try rig.receive(PeerFrame(0x14, 0, TunnelState(tunnel: 0, isUp: true).frame.payload))
        #expect(rig.session.statistics.map(\.health) == [.up])
    }
}
