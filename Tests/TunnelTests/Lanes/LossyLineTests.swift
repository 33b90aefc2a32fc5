import Mux
import Testing

@testable import TunnelClient

@Suite("The number of lanes: lossy lines")
struct LossyLineTests {
    /// A session over a line with 100 Mbit/s.
    private func session(_ count: CarrierCount, _ milliseconds: Int, _ loss: Double, seed: Int) -> LaneSimulation {
        let roundTrip = Duration.milliseconds(milliseconds)
        var session = LaneSimulation(LaneSimulation.shared(100e6), count)
        session.roundTrip = roundTrip
        session.lossyLine = LossyLine(roundTrip: roundTrip, loss: loss, bitsPerSecond: 100e6, seed: seed)
        return session
    }

    @Test(
        "in a minute, automatic lanes deliver three times as much as one lane over a lossy line, in most runs",
        arguments: [(100, 0.002, false), (100, 0.002, true), (50, 0.01, false), (50, 0.01, true), (30, 0.003, false)]
    )
    func gain(milliseconds: Int, loss: Double, interactive: Bool) throws {
        let gains = try (0..<20).map { seed in
            var one = session(try CarrierCount("1"), milliseconds, loss, seed: seed)
            var automatic = session(.automatic, milliseconds, loss, seed: seed)
            one.run(60, interactive: interactive)
            automatic.run(60, interactive: interactive)
            return Double(automatic.delivered) / Double(one.delivered)
        }
        #expect(gains.sorted()[5] >= 3, "\(gains)")
    }

    @Test("over a line without loss, a session comes back to one lane, and its trials cost little")
    func clean() throws {
        var one = session(try CarrierCount("1"), 100, 0, seed: 0)
        var automatic = session(.automatic, 100, 0, seed: 0)
        one.run(300)
        automatic.run(300)
        #expect(automatic.lanes == [0])
        #expect(Double(automatic.delivered) >= 0.97 * Double(one.delivered))
    }
}
