import Mux
import Testing

@testable import TunnelAdmin
@testable import TunnelCore
@testable import TunnelServer

/// The lanes of a session at the server: their number, their order, and what operators see of them.
@Suite("A server's session with several lanes") struct SessionLanesTests {
    private func status(_ rig: ServerRig) -> SessionStatus {
        rig.session.status(rig.handle.facts, isWhole: true)
    }

    @Test("M35 a session has as many lanes as the server allows, and the refusal of another one changes nothing")
    func limit() {
        let rig = ServerRig { $0.serverLimits.carriersPerSession = 3 }
        #expect(rig.resume(lane: 1, epoch: 1, received: 0) == nil)
        #expect(rig.resume(lane: 2, epoch: 1, received: 0) == nil)
        let refusal = rig.resume(lane: 3, epoch: 1, received: 0)
        #expect(refusal?.code == .limit && refusal?.text == "the server allows 3 carriers for a session")
        #expect(!rig.isEnded && rig.session.sessionLoop.laneCount == 3)
        #expect(rig.resume(lane: 2, epoch: 2, received: 0) == nil, "a carrier for a lane that exists is none more")
    }

    @Test("M35 a lane whose number is far below others, or that reports frames, is refused")
    func numbers() {
        let rig = ServerRig()
        #expect(rig.resume(lane: 20, epoch: 1, received: 0) == nil)
        #expect(rig.resume(lane: 3, epoch: 2, received: 0)?.code == .replaced)
        #expect(rig.resume(lane: 21, epoch: 2, received: 1)?.code == .replaced, "it cannot have received any")
        #expect(rig.resume(lane: 20, epoch: 1, received: 0)?.code == .replaced, "not a newer carrier")
        #expect(!rig.isEnded && rig.session.sessionLoop.laneCount == 2)
    }

    @Test("Added carriers are no resumes, and the session's address is that of its first lane")
    func status() throws {
        let rig = ServerRig()
        #expect(rig.resume(lane: 1, epoch: 1, received: 0, from: "198.51.100.9:1") == nil)
        let added = status(rig)
        #expect(added.carriers == 2 && added.resumes == 0 && added.peer == "198.51.100.7:50000")
        #expect(added.lanes.map(\.number) == [0, 1] && added.lanes.allSatisfy { $0.since != nil })
        #expect(added.lanes.map(\.peer) == ["198.51.100.7:50000", "198.51.100.9:1"])
        #expect(added.lanes.allSatisfy { $0.reason == nil && $0.proxy == nil && $0.rate == nil })
        // Another carrier for a further lane is no resume either.
        #expect(rig.resume(lane: 1, epoch: 2, received: 0, from: "198.51.100.9:2") == nil)
        #expect(status(rig).carriers == 3 && status(rig).resumes == 0 && status(rig).peer == "198.51.100.7:50000")
        #expect(rig.resume(epoch: 1, received: 0, from: "198.51.100.7:3") == nil)
        #expect(status(rig).carriers == 4 && status(rig).resumes == 1 && status(rig).peer == "198.51.100.7:3")
        #expect(rig.log.count("session resumed") == 1 && rig.log.count("carrier added") == 1)
    }

    @Test(
        "A lane that the client closes in order counts as left, and one that breaks as lost",
        arguments: [true, false]
    )
    func lostOrLeft(isClosed: Bool) {
        let rig = ServerRig()
        #expect(rig.resume(lane: 1, epoch: 1, received: 0, from: "198.51.100.9:1") == nil)
        // The latest carrier is that of lane 1.
        rig.carrier.receiver?.carrierLost(CarrierLoss(description: "gone", isClosedByPeer: isClosed))
        rig.loop.run()
        #expect(!rig.isEnded && rig.session.sessionLoop.hasCarrier)
        #expect(rig.log.count("carrier lost") == (isClosed ? 0 : 1) && rig.log.count("lane left") == (isClosed ? 1 : 0))
        #expect(status(rig).lastLoss == (isClosed ? nil : "gone"))
        let lanes = status(rig).lanes
        #expect(lanes.map(\.number) == [0, 1] && lanes[1].since == nil && lanes[1].peer == nil, "until RETIRE comes")
    }

    @Test("Once the first lane has no carrier, the session's address is that of the next one")
    func firstLost() {
        let rig = ServerRig()
        let first = rig.carrier
        #expect(rig.resume(lane: 1, epoch: 1, received: 0, from: "198.51.100.9:1") == nil)
        first.receiver?.carrierLost(CarrierLoss(description: "cut"))
        rig.loop.run()
        #expect(status(rig).peer == "198.51.100.9:1" && status(rig).hasCarrier)
        rig.loseCarrier()
        #expect(!status(rig).hasCarrier && status(rig).lanes.allSatisfy { $0.since == nil })
        // The client has left lane 0, of which the server knows nothing yet.
        #expect(rig.resume(lane: 1, epoch: 2, received: 0, from: "198.51.100.9:2") == nil)
        #expect(status(rig).hasCarrier && status(rig).resumes == 1 && status(rig).peer == "198.51.100.9:2")
    }
}
