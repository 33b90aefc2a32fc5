import Mux
import Testing

@testable import TunnelClient

@Suite("The number of lanes: trials for bulk traffic")
struct LaneTrialTests {
    /// The decisions with which a trial begins beside one lane.
    private static let trial = [LaneDecision](repeating: .open(.trial), count: 3)

    @Test("a proxy that throttles each carrier to 10 Mbit/s gets four, within ten seconds")
    func throttled() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.run(10)
        #expect(session.lanes.count == 4)
        #expect(session.decisions == [.open(.trial), .open(.trial), .open(.trial)])
        session.run(5)
        let kept = (1...3).compactMap { session.policy.reason(of: $0) }
        #expect(kept == [.throughput(percent: 100), .throughput(percent: 100), .throughput(percent: 100)])
        session.run(1_000)
        #expect(session.lanes.count == 4 && session.opened.count == 3)
    }

    @Test("a line that one lane fills gets one trial, and the next after 1, 2, 4, 8, 10 and 10 minutes")
    func shared() {
        var session = LaneSimulation(LaneSimulation.shared(90e6))
        session.run(3_000)
        #expect(session.lanes == [0])
        let trials = Set(session.opened).sorted()
        #expect(session.opened.count == 3 * trials.count)
        let waits = zip(trials.dropFirst(), trials).map { $0.0 - $0.1 }
        let minutes = waits.map { Double($0) / 60 }
        for (wait, expected) in zip(minutes, [1.0, 2, 4, 8, 10, 10]) { #expect((expected..<expected + 0.2) ~= wait) }
        #expect(minutes.count >= 6)
        let closes = session.decisions.filter {
            if case .close(_, .noGain(let percent)) = $0 { percent == 0 } else { false }
        }
        #expect(closes.count == session.opened.count)
    }

    @Test("of three lanes on trial, the one that adds less than a fifth is closed")
    func knee() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6, line: 31e6))
        session.run(12)
        #expect(session.lanes == [0, 1, 2])
        #expect(session.decisions.last == .close(lane: 3, .noGain(percent: 3)))
        session.run(35)
        #expect(session.lanes == [0, 1, 2])
        #expect(session.decisions.last == .close(lane: 4, .noGain(percent: 3)))
        session.run(1_000)
        #expect(session.lanes.isSuperset(of: [0, 1, 2]))
    }

    @Test("lanes whose rates vary by 30 % grow to four within two minutes, in 95 of 100 runs")
    func noise() {
        let reached = (0..<100).filter { run in
            var session = LaneSimulation(LaneSimulation.throttled(each: 8e6))
            session.noise = 0.3
            // Each run begins at another place of the random numbers.
            session.run(run)
            session.run(61, bulk: false)
            session.run(120)
            return session.lanes.count == 4
        }
        #expect(reached.count >= 95, "\(reached.count)")
    }

    @Test("a rate that grows by itself while the lane of a trial is dialled is no gain")
    func growingBaseline() {
        var session = LaneSimulation(LaneSimulation.shared(50e6))
        while session.opened.isEmpty { session.run(1) }
        session.path = LaneSimulation.shared(100e6)
        session.run(5)
        #expect(session.lanes == [0])
    }

    @Test("a path on which one lane reaches 1 Gbit/s has no trial")
    func fast() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 1.1e9, line: 1e11))
        session.run(300)
        #expect(session.log.isEmpty)
    }

    @Test("a round trip below a millisecond, or one that is not known, has no trial", arguments: [nil, 500])
    func nearby(microseconds: Int?) {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.roundTrip = microseconds.map { .microseconds($0) }
        session.run(300)
        #expect(session.log.isEmpty)
    }

    @Test("a path of 50 Mbit/s or more has its trial once a transfer has lasted 15 s")
    func lengthy() {
        for each in [51e6, 200e6] {
            var session = LaneSimulation(LaneSimulation.throttled(each: each))
            session.run(15)
            #expect(session.log.isEmpty)
            session.run(11, bulk: false)
            session.run(15)
            #expect(session.log.isEmpty)
            session.run(1)
            #expect(session.decisions == Self.trial)
            session.run(10)
            #expect(session.lanes.count == 4)
        }
        var slower = LaneSimulation(LaneSimulation.throttled(each: 49e6))
        slower.run(4)
        #expect(slower.decisions == Self.trial)
    }

    @Test(
        "lanes that deliver less than one did before are tried once more, since chance or the path has changed the rate"
    )
    func luckyBaseline() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 30e6))
        while session.opened.isEmpty { session.run(1) }
        session.path = LaneSimulation.throttled(each: 5e6)
        session.run(20)
        #expect(session.lanes.count == 4 && session.opened.count == 6)
        var shared = LaneSimulation(LaneSimulation.shared(40e6))
        while shared.opened.isEmpty { shared.run(1) }
        shared.path = LaneSimulation.shared(30e6)
        shared.run(40)
        #expect(shared.lanes == [0] && shared.opened.count == 6)
    }

    @Test("a lane of a trial that becomes the quick one is no longer on trial")
    func quickOnTrial() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6, line: 20e6))
        while session.opened.isEmpty { session.run(1) }
        session.run(1, interactive: true)
        let quick = session.quick
        #expect(quick != 0 && session.policy.reason(of: quick) == .coincidence)
        session.run(20, interactive: true)
        #expect(session.lanes.count == 3 && session.lanes.contains(quick))
        #expect(session.policy.reservesLane && session.lanes.allSatisfy { session.policy.reason(of: $0) != .trial })
    }

    @Test("interactive traffic while the lanes of a trial arrive one by one closes none of them", arguments: [0, 1, 2])
    func quickAmongStaggered(seconds: Int) {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.staggersDials = true
        while session.opened.isEmpty { session.run(1) }
        session.run(seconds)
        session.run(30, interactive: true)
        let closed = session.decisions.filter { if case .close = $0 { true } else { false } }
        #expect(closed.isEmpty && session.lanes.count == 5, "\(session.log)")
        #expect(session.policy.reservesLane && session.policy.reason(of: session.quick) != .trial)
    }

    @Test("the loss of the quick lane in a trial reserves none without interactive traffic")
    func quickLostInTrial() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.run(6)
        #expect(session.lanes == [0, 1, 2, 3])
        session.lose(session.quick)
        session.run(1)
        #expect(!session.policy.reservesLane && session.policy.reason(of: session.quick) == .lost)
        session.run(20)
        #expect(session.lanes.count == 4 && !session.policy.reservesLane)
    }

    @Test("a path whose rate rises and falls has ever fewer trials")
    func swingingPath() {
        var session = LaneSimulation(LaneSimulation.shared(40e6))
        for round in 0..<40 {
            session.path = LaneSimulation.shared(round.isMultiple(of: 2) ? 40e6 : 10e6)
            session.run(15)
        }
        #expect(session.opened.count <= 60, "\(session.opened)")
    }

    @Test("a rate that still rises fast is no baseline")
    func slowStart() {
        var (seconds, session) = (0, LaneSimulation(LaneSimulation.shared(0)))
        for _ in 0..<10 {
            seconds += 1
            session.path = LaneSimulation.shared(4e4 * Double(1 << seconds))
            session.run(1)
        }
        #expect(session.log.isEmpty)
        session.path = LaneSimulation.shared(2e7)
        session.run(4)
        #expect(session.decisions == Self.trial)
    }

    @Test("a long round trip makes measurements longer")
    func longRoundTrip() {
        var quick = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        var slow = quick
        slow.roundTrip = .milliseconds(600)
        quick.run(60)
        slow.run(60)
        #expect(quick.opened[0] == 4)
        #expect((12...14).contains(slow.opened[0]))
    }

    @Test("a transfer at another rate ends the wait after a failed trial, and so does a pause of ten seconds")
    func reset() {
        var session = LaneSimulation(LaneSimulation.shared(40e6))
        session.run(12)
        #expect(session.decisions.prefix(3) == Self.trial[...] && session.lanes == [0])
        session.path = LaneSimulation.throttled(each: 10e6)
        session.run(8)
        #expect(session.opened.count > 3)
        var paused = LaneSimulation(LaneSimulation.shared(40e6))
        paused.run(12)
        paused.run(10, bulk: false)
        paused.run(6)
        #expect(paused.opened.count == 6)
        var short = LaneSimulation(LaneSimulation.shared(40e6))
        short.run(12)
        short.run(5, bulk: false)
        short.run(20)
        #expect(short.opened.count == 3)
    }

    @Test("a transfer that ends during a trial gives the lanes back")
    func endDuringTrial() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.run(6)
        #expect(session.lanes.count == 4)
        session.run(9, bulk: false)
        #expect(session.lanes.count == 4)
        session.run(2, bulk: false)
        #expect(session.decisions.dropFirst(3).count == 3 && session.lanes == [0])
        #expect(session.decisions.suffix(3).allSatisfy { if case .close(_, .unneeded) = $0 { true } else { false } })
    }

    @Test("interactive traffic during a trial gets a lane beside it at once, and the trial goes on")
    func interactiveDuringTrial() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.run(5)
        #expect(session.decisions == Self.trial)
        session.run(1, interactive: true)
        #expect(session.decisions == Self.trial + [.open(.coincidence)])
        session.run(8, interactive: true)
        #expect(session.policy.reason(of: 1) == .throughput(percent: 100) && session.lanes.count == 5)
        #expect(session.policy.reason(of: 4) == .coincidence && session.policy.reservesLane)
    }

    @Test("bulk traffic shortly after interactive traffic begins with a lane for that, and its trial follows")
    func interactiveBeforeBulk() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.run(1, bulk: false, interactive: true)
        session.run(2)
        #expect(session.decisions == [.open(.coincidence)])
        session.run(12, interactive: true)
        #expect(session.policy.reason(of: 2) == .throughput(percent: 100) && session.lanes.count == 5)
    }

    @Test("interactive traffic takes the lane of a trial if there may be no other one")
    func interactiveInPlaceOfTrial() throws {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6), try CarrierCount("1-2"))
        session.run(4)
        #expect(session.decisions == [.open(.trial)])
        session.run(3, interactive: true)
        #expect(session.policy.reason(of: 1) == .coincidence && session.policy.reservesLane)
        #expect(session.opened.count == 1 && session.lanes == [0, 1])
    }

    @Test("a rate from before interactive traffic took its lane is no baseline")
    func baselineBesideInteractive() throws {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6), try CarrierCount("2-3"))
        session.roundTrip = nil
        session.run(6)
        session.run(1, interactive: true)
        session.roundTrip = .milliseconds(100)
        session.run(1, interactive: true)
        #expect(session.policy.reservesLane && session.decisions == [.open(.configured(2))])
        session.run(20, interactive: true)
        #expect(session.policy.reason(of: 2) == .throughput(percent: 100))
    }

    @Test("a lane that is being closed counts for the maximum")
    func closingLane() throws {
        var session = LaneSimulation(LaneSimulation.shared(40e6), try CarrierCount("1-2"))
        session.run(4)
        #expect(session.lanes.count == 1 && session.opened == [4])
        while session.lanes.count == 1 { session.run(1) }
        while session.lanes.count == 2 { session.run(1) }
        session.run(2, interactive: true)
        #expect(session.lanes.count == 1 && session.opened.count == 1)
        session.run(3, interactive: true)
        #expect(session.lanes.count == 2 && session.policy.reservesLane && session.mostCarriers == 2)
    }

    @Test("a minute after the last interactive traffic, a lane is closed, and bulk traffic gets its trial")
    func spareLane() throws {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6), try CarrierCount("1-2"))
        session.run(10, interactive: true)
        session.run(59)
        #expect(session.policy.reservesLane && session.lanes == [0, 1])
        session.run(12)
        #expect(!session.policy.reservesLane && session.lanes == [1, 2] && session.quick == 1)
        #expect(session.decisions == [.open(.coincidence), .close(lane: 0, .unneeded), .open(.trial)])
        #expect(session.policy.reason(of: 2) == .throughput(percent: 100))
    }

    @Test("of the lanes that a trial asks for, those that the proxy lets through are measured")
    func partlyRefused() {
        var session = LaneSimulation(LaneSimulation.throttled(each: 10e6))
        session.proxyLimit = 3
        session.run(50)
        #expect(session.lanes == [0, 1, 2] && session.logLines.count == 1)
        #expect(session.policy.reason(of: 2) == .throughput(percent: 100))
    }
}
