import Mux
import NIOCore
import Testing

@testable import TunnelCore
@testable import TunnelServer

/// A UDP flow between the session with another server and a client's session.
@Suite("UDP flows of another server's senders")
struct PeerFlowTests {
    /// A flow whose stream in the client's session has number 2.
    private func flow(_ peer: Rig, _ home: Rig) -> PeerFlow {
        let flow = PeerFlow(peer.session, StreamID(1), to: home.loop, dropped: TrafficTotals().metrics.droppedDatagrams)
        let session = NIOLoopBound(home.session, eventLoop: home.loop)
        flow.open {
            let session = session.value
            let visitor = "192.0.2.1:40001"
            let statistics = TunnelStatistics(tunnel: 0, role: .server, totals: TrafficTotals())
            return IngressFlow.Admission.flow(
                IngressFlow.Opening(
                    session,
                    OpenRequest(tunnel: 0, kind: .udp, visitor: visitor),
                    identity: StreamIdentity(visitor: visitor, kind: .udp, statistics: statistics),
                    logger: session.logger
                )
            )
        }
        home.loop.run()
        peer.loop.run()
        return flow
    }

    @Test("A flow is gone once either end has ended it, or the client's session is over")
    func gone() throws {
        let ends: [(String, (Rig, Rig, PeerFlow) throws -> Void)] = [
            ("the client resets it", { _, home, _ in try home.receive(.reset(2)) }),
            ("the client's session ends", { _, home, _ in home.end() }),
            ("the other server resets it", { _, _, flow in flow.ended(.timeout) }),
        ]
        for (name, end) in ends {
            let (peer, home) = (Rig(.server), Rig(.server))
            weak var present: PeerFlow?
            do {
                let flow = flow(peer, home)
                #expect(home.sent() == ["OPEN 2"])
                present = flow
                try end(peer, home, flow)
                if name.hasPrefix("the other") { peer.session.run(.reset(StreamID(1), .timeout)) }
            }
            for _ in 0..<2 {
                peer.loop.run()
                home.loop.run()
            }
            #expect(present == nil, "\(name)")
        }
    }
}
