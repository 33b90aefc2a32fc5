import Mux
import Testing

@testable import TunnelClient

@Suite("The number of lanes: losses and refusals")
struct LaneLossTests {
    private static let throttled = LaneSimulation.throttled(each: 10e6)

    @Test("a lost lane is replaced while its traffic runs")
    func replaced() {
        var session = LaneSimulation(Self.throttled)
        session.run(30)
        session.lose(2)
        session.run(1)
        #expect(session.decisions.last == .open(.lost))
        session.run(1)
        #expect(session.lanes == [0, 1, 3, 4])
        #expect(session.policy.reason(of: 4) == .lost)
    }

    @Test("a lost lane is not replaced in a pause, and is if the traffic comes back within a minute")
    func pause() {
        var session = LaneSimulation(Self.throttled)
        session.run(30)
        session.run(15, bulk: false)
        session.lose(2)
        session.run(30, bulk: false)
        #expect(session.lanes.count == 3)
        session.run(2)
        #expect(session.lanes.count == 4)
    }

    @Test("the lost lane of interactive traffic is replaced while that runs beside bulk traffic, and not later")
    func interactive() {
        for isRunning in [true, false] {
            var session = LaneSimulation(LaneSimulation.shared(2e9))
            session.run(5, interactive: true)
            #expect(session.lanes == [0, 1])
            session.run(12, interactive: isRunning)
            session.lose(1)
            session.run(10, interactive: isRunning)
            #expect(session.lanes.count == (isRunning ? 2 : 1))
        }
    }

    @Test("a lane that is lost in a trial is replaced by one of the trial")
    func duringTrial() throws {
        var session = LaneSimulation(Self.throttled, try CarrierCount("2-5"))
        session.run(7)
        #expect(session.lanes == [0, 1, 2, 3, 4] && session.policy.reason(of: 2) == .trial)
        let dials = session.opened.count
        session.lose(1)
        session.run(1)
        #expect(session.policy.reason(of: 2) == .lost && session.opened.count == dials)
        #expect(session.lanes == [0, 2])
    }

    @Test("a trial whose own lanes are lost has failed")
    func trialLost() {
        var session = LaneSimulation(Self.throttled)
        session.run(5)
        for lane: UInt32 in 1...3 { session.lose(lane) }
        session.run(50)
        #expect(session.opened.count == 3)
        session.run(30)
        #expect(session.opened.count > 3)
    }

    @Test("a proxy that refuses a further carrier is asked again after a minute, then less often, down to once an hour")
    func refused() {
        var session = LaneSimulation(Self.throttled)
        session.proxyLimit = 2
        session.run(40_000)
        #expect(session.lanes.count == 2)
        #expect(session.logLines == [.seconds(60)], "one line")
        let dials = session.opened.dropFirst(2)
        let waits = zip(dials.dropFirst(), dials).map { $0.0 - $0.1 }
        for (wait, expected) in zip(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]) {
            #expect((expected..<expected + 10) ~= wait)
        }
        #expect(waits.count >= 8)
    }

    @Test("a proxy that has room again gets more carriers, and a later refusal is logged again")
    func roomAgain() {
        var session = LaneSimulation(Self.throttled)
        session.proxyLimit = 2
        session.run(60)
        session.proxyLimit = 3
        session.run(200)
        #expect(session.lanes.count == 3 && session.logLines.count == 2)
    }

    @Test("after a refusal, a lost lane below the refused number is replaced at once")
    func replacedBelowTheRefusal() {
        var session = LaneSimulation(Self.throttled)
        session.proxyLimit = 2
        session.run(30)
        #expect(session.logLines.count == 1)
        session.lose(1)
        session.run(2)
        #expect(session.lanes.count == 2)
    }

    @Test("dials that are refused together count once, and the next one is alone")
    func together() throws {
        var session = LaneSimulation(Self.throttled, try CarrierCount("4"))
        session.proxyLimit = 1
        session.run(59, bulk: false)
        #expect(session.opened.count == 3 && session.logLines == [.seconds(60)])
        session.run(10, bulk: false)
        #expect(session.opened.count == 4 && session.logLines.count == 1, "one dial shows whether there is room")
    }

    @Test("the server's limit holds for the rest of the session, and further lanes are closed")
    func limited() {
        var session = LaneSimulation(Self.throttled)
        session.run(30)
        #expect(session.lanes.count == 4)
        session.policy.limited(to: 2)
        session.run(1)
        #expect(session.lanes.count == 2)
        #expect(session.decisions.suffix(2).allSatisfy { if case .close(_, .limit) = $0 { true } else { false } })
        session.policy.limited(to: 4)
        session.run(600, interactive: true)
        #expect(session.lanes.count == 2 && session.policy.reservesLane)
    }

    @Test("a dial that the server refuses for its limit is not repeated")
    func limitedDial() throws {
        var session = LaneSimulation(Self.throttled, try CarrierCount("3"))
        session.run(1)
        session.policy.limited(to: 1)
        session.policy.limited(to: 1)
        session.run(1)
        session.lose(1)
        session.lose(2)
        session.run(600)
        #expect(session.lanes == [0] && session.opened.count == 2)
    }
}
