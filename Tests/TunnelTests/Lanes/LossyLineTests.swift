import Mux
import Testing

@testable import TunnelClient

/// Bytes of automatic lanes relative to one lane, over 100 Mbit/s from a cold start, with 100 seeds each:
///
/// | line, and requests | median after 12 s | 30 s | 60 s | seeds above 2 after 12 s |
/// |---|--:|--:|--:|--:|
/// | 100 ms, 0.2 % lost; none | 3.6 | 3.8 | 3.9 | 99 % |
/// | 100 ms, 0.2 % lost; always | 3.3 | 3.6 | 3.8 | 97 % |
/// | 100 ms, 0.2 % lost; from second 3 | 4.0 | 4.1 | 4.0 | 98 % |
/// | 50 ms, 1 % lost; none | 3.4 | 3.7 | 3.8 | 100 % |
/// | 50 ms, 1 % lost; always | 3.2 | 3.6 | 3.8 | 100 % |
/// | 50 ms, 1 % lost; from second 3 | 3.4 | 3.7 | 3.9 | 100 % |
/// | 30 ms, 0.3 % lost; none | 3.3 | 3.6 | 3.8 | 100 % |
/// | 30 ms, 0.3 % lost; always | 3.1 | 3.6 | 3.8 | 100 % |
/// | 30 ms, 0.3 % lost; from second 3 | 3.3 | 3.7 | 3.9 | 100 % |
@Suite("The number of lanes: lossy lines")
struct LossyLineTests {
    /// When interactive traffic runs beside the bulk traffic.
    enum Requests: Sendable {
        case none, always, fromSecondThree
    }

    /// A line, and the traffic on it.
    struct Load: Sendable {
        let milliseconds: Int
        let loss: Double
        let requests: Requests

        static let all = [(100, 0.002), (50, 0.01), (30, 0.003)].flatMap { line in
            [Requests.none, .always, .fromSecondThree].map { Load(milliseconds: line.0, loss: line.1, requests: $0) }
        }

        /// A session over a line with 100 Mbit/s.
        func session(_ count: CarrierCount, seed: Int) -> LaneSimulation {
            let roundTrip = Duration.milliseconds(milliseconds)
            var session = LaneSimulation(LaneSimulation.shared(100e6), count)
            session.observationsPerSecond = 2
            session.roundTrip = roundTrip
            session.lossyLine = LossyLine(roundTrip: roundTrip, loss: loss, bitsPerSecond: 100e6, seed: seed)
            return session
        }

        /// The bytes after 12, 30 and 60 seconds.
        func run(_ count: CarrierCount, seed: Int) -> [Double] {
            var session = session(count, seed: seed)
            session.run(3, interactive: requests == .always)
            return [9, 18, 30].map { seconds in
                session.run(seconds, interactive: requests != .none)
                return Double(session.delivered)
            }
        }

        /// The sorted gains after 12, 30 and 60 seconds.
        func gains(seeds: Int) throws -> [[Double]] {
            let one = try CarrierCount("1")
            let runs = (0..<seeds).map { seed in
                zip(run(.automatic, seed: seed), run(one, seed: seed)).map { $0 / $1 }
            }
            return (0..<3).map { time in runs.map { $0[time] }.sorted() }
        }
    }

    @Test(
        "over a lossy line, automatic lanes deliver twice as much as one lane in 12 s, and three times in a minute",
        arguments: Load.all
    )
    func gain(load: Load) throws {
        let gains = try load.gains(seeds: 20)
        #expect(gains[0][10] >= 2.2, "the median after 12 s: \(gains[0])")
        #expect(gains[2][5] >= 3, "three quarters after a minute: \(gains[2])")
    }

    @Test(
        "over a line without loss, a trial takes three seconds, costs 2 % of a minute, and is the only one",
        arguments: [100, 50, 20],
        0..<5
    )
    func clean(milliseconds: Int, seed: Int) throws {
        let load = Load(milliseconds: milliseconds, loss: 0, requests: .none)
        var one = load.session(try CarrierCount("1"), seed: seed)
        var automatic = load.session(.automatic, seed: seed)
        one.run(60)
        automatic.run(60)
        let log = automatic.log
        #expect(log.count == 6 && automatic.lanes == [0], "\(log)")
        #expect(automatic.opened.count == 3 && log[5].second - log[0].second <= 3, "\(log)")
        #expect(Double(automatic.delivered) >= 0.98 * Double(one.delivered))
    }
}
