import Testing

@testable import TunnelCore

/// The carriers of a client's lanes: each may be lost or replaced while the others live.
@Suite("The carriers of several lanes") struct LaneCarrierTests {
    private static let close = CarrierLoss(description: "taken over", isClosedByPeer: true)

    @Test("A Close of a carrier whose successor has been accepted does not cost the lane")
    func closedBeforeAnswer() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        _ = try rig.openLane()
        socket.farSideSends("a")
        #expect(rig.sent() == ["DATA 2 a"])
        _ = rig.prepareRenewal()
        rig.loseCarrier(Self.close)
        #expect(rig.reports.isEmpty && rig.lanes == [0, 1] && rig.hasCarrier)
        socket.farSideSends("b")
        rig.loop.run()
        // The peer has ACCEPT of stream 2.
        rig.attachCarrier(peerReceived: 1)
        #expect(rig.sent() == ["DATA 2 ab"])
        #expect(rig.reports.isEmpty && rig.lanes == [0, 1])
    }

    @Test("A lane with a closed carrier is left once the successor has failed, and its frames are delivered")
    func closedWithoutSuccessor() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        _ = try rig.openLane()
        _ = rig.prepareRenewal()
        try rig.receive(.data(2, "late"))
        rig.loseCarrier(Self.close)
        #expect(socket.farSide == "" && rig.reports.isEmpty)
        rig.abandonRenewal()
        #expect(socket.farSide == "late")
        #expect(rig.reports == ["lost lane 0"] && rig.lanes == [1] && rig.hasCarrier)
    }

    @Test("A lane whose carrier breaks is left at once, also while a successor is dialled")
    func broken() throws {
        for isReplaced in [true, false] {
            let rig = Rig(.client)
            _ = try rig.openLane()
            if isReplaced { _ = rig.prepareRenewal() }
            rig.loseCarrier()
            #expect(rig.reports == ["lost lane 0"] && rig.lanes == [1] && rig.hasCarrier)
        }
    }

    @Test("A carrier for a lane that was left meanwhile is closed")
    func tooLate() throws {
        let rig = Rig(.client)
        let other = try rig.openLane()
        rig.loseCarrier()
        rig.attachCarrier(peerReceived: 0)
        #expect(rig.carrier.end == "close 1001" && other.end == nil)
        #expect(rig.reports == ["lost lane 0", "left lane 0"] && rig.lanes == [1])
    }

    @Test("The figures of a lane have the age, the bytes and the retransmissions of its carrier")
    func figures() throws {
        let rig = Rig(.client)
        let socket = try rig.service()
        let second = try rig.openLane()
        second.retransmitted = 7
        socket.farSideSends("hello")
        #expect(rig.sent() == ["DATA 2 hello"])
        let states = rig.laneStates
        #expect(states.map(\.lane.rawValue) == [0, 1] && states.allSatisfy { $0.age != nil })
        #expect(states.map(\.retransmitted) == [nil, 7])
        // ACCEPT of 8 bytes, and DATA with its offset.
        #expect(states.map(\.unacknowledged) == [8 + 8 + 8 + 5, 0])
        #expect(states[0].moved > 29 && states[1].moved == 0)
    }
}
