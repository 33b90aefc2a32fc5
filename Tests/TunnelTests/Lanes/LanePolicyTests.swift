import Mux
import TestSupport
import Testing

@testable import TunnelClient

@Suite("The number of lanes: traffic and configuration")
struct LanePolicyTests {
    private static let lossy = LaneSimulation.throttled(each: 8e6)

    @Test("one lane is enough for interactive traffic alone")
    func interactiveAlone() {
        var session = LaneSimulation(Self.lossy)
        session.run(600, bulk: false, interactive: true)
        #expect(session.log.isEmpty)
    }

    @Test("a second lane is dialled about a second after bulk and interactive traffic coincide", arguments: [1, 2, 4])
    func coincidence(observationsPerSecond: Int) {
        var session = LaneSimulation(LaneSimulation.shared(90e6))
        session.observationsPerSecond = observationsPerSecond
        session.run(30, bulk: false, interactive: true)
        session.run(2, interactive: true)
        #expect(session.decisions == [.open(.coincidence)])
        #expect(session.opened[0] <= 32)
        session.run(1, interactive: true)
        #expect(session.policy.reservesLane)
        #expect(session.policy.reason(of: 1) == .coincidence)
    }

    @Test("a request now and then beside bulk traffic opens a lane at its second time, and one request does not")
    func seldomRequests() {
        var session = LaneSimulation(LaneSimulation.shared(2e9))
        session.run(20)
        session.run(1, interactive: true)
        session.run(20)
        #expect(session.log.isEmpty)
        session.run(1, interactive: true)
        session.run(5)
        session.run(1, interactive: true)
        #expect(session.decisions == [.open(.coincidence)])
    }

    @Test("a burst of long frames beside interactive traffic opens no lane")
    func burst() {
        var session = LaneSimulation(Self.lossy)
        for _ in 0..<20 {
            session.run(1, interactive: true)
            session.run(11, bulk: false, interactive: true)
        }
        #expect(session.log.isEmpty)
    }

    @Test("a lossy path gets four lanes for bulk traffic, and one more for interactive traffic beside it")
    func fiveLanes() {
        var session = LaneSimulation(Self.lossy)
        session.noise = 0.1
        session.run(40, interactive: true)
        #expect(session.lanes.count == 5 && session.policy.reservesLane)
        #expect(session.decisions.first == .open(.coincidence))
        session.run(600, interactive: true)
        #expect(session.mostCarriers == 5)
        #expect(session.log.count == 4, "\(session.log)")
    }

    @Test("after a minute without bulk traffic there is one lane, and not before")
    func quietMinute() {
        var session = LaneSimulation(Self.lossy)
        session.run(30, interactive: true)
        let most = session.lanes.count
        session.run(59, bulk: false, interactive: true)
        #expect(session.lanes.count == most && most > 3)
        session.run(1, bulk: false, interactive: true)
        #expect(session.lanes == [session.quick])
        #expect(
            session.decisions.suffix(most - 1).allSatisfy { if case .close(_, .quiet) = $0 { true } else { false } }
        )
    }

    @Test("lanes stay for bulk traffic that pauses for less than a minute")
    func shortPause() {
        var session = LaneSimulation(Self.lossy)
        session.run(60)
        #expect(session.lanes.count == 4)
        let dials = session.opened.count
        for _ in 0..<5 {
            session.run(50, bulk: false)
            session.run(20)
        }
        #expect(session.lanes.count == 4 && session.opened.count == dials)
    }

    @Test("a number of carriers is dialled at the start, at once, and never changes")
    func fixed() throws {
        var session = LaneSimulation(Self.lossy, try CarrierCount("3"))
        session.run(1, bulk: false)
        #expect(session.decisions == [.open(.configured(3)), .open(.configured(3))])
        session.run(300, interactive: true)
        session.run(300, bulk: false)
        #expect(session.log.count == 2 && session.lanes.count == 3)
        #expect(session.policy.reason(of: 1)?.description == "the configuration asks for 3 WebSockets")
    }

    @Test("a session whose number of carriers is 1 opens no other one")
    func single() throws {
        var session = LaneSimulation(Self.lossy, try CarrierCount("1"))
        session.run(300, interactive: true)
        #expect(session.log.isEmpty && !session.policy.reservesLane)
    }

    @Test("a range begins with its minimum, grows to its maximum if that helps, and goes back")
    func range() throws {
        var session = LaneSimulation(Self.lossy, try CarrierCount("2-5"))
        session.run(1, bulk: false)
        #expect(session.decisions == [.open(.configured(2))])
        session.run(60)
        #expect(session.lanes.count == 5)
        session.run(60, bulk: false)
        #expect(session.lanes.count == 2 && session.mostCarriers == 5)
    }

    @Test("texts for the status and the log")
    func texts() {
        let reasons: [LaneReason] = [.coincidence, .trial, .throughput(percent: 84), .configured(3), .lost]
        #expect(
            reasons.map(\.description) == [
                "bulk and interactive traffic at once", "to measure whether another carrier adds throughput",
                "it adds 84 % throughput", "the configuration asks for 3 WebSockets", "it replaces a lost WebSocket",
            ]
        )
    }

    @Test(
        "at random, the quick lane stays, the bounds hold, and an idle session ends with its minimum",
        arguments: 0..<30
    )
    func bounds(seed: Int) throws {
        var random = SplitMix64(state: UInt64(seed))
        let count = try [.automatic, CarrierCount("1"), CarrierCount("4"), CarrierCount("2-5"), CarrierCount("3-16")]
            .randomElement(using: &random)
        var session = LaneSimulation(
            LaneSimulation.throttled(each: 1e6 * (1 + 50 * random.unit()), line: 1e6 * (1 + 200 * random.unit())),
            try #require(count)
        )
        var limit = session.policy.count.maximum
        session.noise = random.unit() / 2
        session.observationsPerSecond = Bool.random(using: &random) ? 1 : 3
        for _ in 0..<100 {
            session.proxyLimit = random.unit() < 0.1 ? Int.random(in: 1...4, using: &random) : .max
            session.run(
                Int.random(in: 1...30, using: &random),
                bulk: random.unit() < 0.7,
                interactive: random.unit() < 0.4
            )
            if random.unit() < 0.2, session.lanes.count > 1, let lane = session.lanes.randomElement(using: &random) {
                session.lose(lane)
            }
            if random.unit() < 0.01 {
                limit = min(limit, Int.random(in: 1...4, using: &random))
                session.policy.limited(to: limit)
            }
            #expect(session.lanes.contains(session.quick) && !session.hasClosedQuick)
            #expect(session.mostCarriers <= session.policy.count.maximum)
        }
        session.proxyLimit = .max
        session.run(4_000, bulk: false)
        #expect(session.lanes.count == min(limit, session.policy.count.minimum))
    }
}
