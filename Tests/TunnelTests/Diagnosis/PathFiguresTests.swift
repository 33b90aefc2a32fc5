import Testing

@testable import TunnelClient

@Suite("What measurements say of a path")
struct PathFiguresTests {
    private func times(_ milliseconds: [Int]) -> [Duration] { milliseconds.map { .milliseconds($0) } }

    @Test("Quantiles are values of the list, whatever its order")
    func quantiles() {
        #expect(PathFigures.quantile([], 0.5) == nil)
        #expect(PathFigures.quantile(times([7]), 0.99) == .milliseconds(7))
        #expect(PathFigures.quantile(times([5, 1, 3]), 0.5) == .milliseconds(3))
        #expect(PathFigures.quantile(times(Array(1...100)), 0.99) == .milliseconds(99))
    }

    @Test("A rate leaves out the time in which a connection finds its speed")
    func rate() throws {
        let samples = (1...20).map { step in
            // 100 kB in the first five tenths, then 1 MB a tenth.
            RateSample(
                bytes: step <= 5 ? 20_000 * step : 100_000 + 1_000_000 * (step - 5),
                time: .milliseconds(100 * step)
            )
        }
        #expect(try #require(PathFigures.rate(samples)) == 10_000_000)
        #expect(PathFigures.rate([]) == nil)
        #expect(PathFigures.rate([RateSample(bytes: 0, time: .seconds(1))]) == nil)
        #expect(PathFigures.rate([RateSample(bytes: 5, time: .zero)]) == nil)
    }

    @Test("Replies that arrive together show a box that gathers messages; jitter does not")
    func clumps() throws {
        let interval = Duration.milliseconds(25)
        #expect(PathFigures.clump(times(Array(repeating: 25, count: 30)), sentEvery: interval) == nil)
        #expect(PathFigures.clump(times([10, 40, 3, 47, 25, 25, 20, 30, 25, 12]), sentEvery: interval) == nil)
        // Eight at a time, every 200 ms.
        let gathered = times((0..<40).map { $0 % 8 == 7 ? 200 : 0 })
        let together = try #require(PathFigures.clump(gathered, sentEvery: interval))
        #expect(together > 6 && together < 9)
        #expect(PathFigures.clump(times([0, 0, 0]), sentEvery: interval) == nil)
    }

    @Test("Times and rates are written for people")
    func words() {
        #expect(Duration.microseconds(430).shown == "0.4 ms")
        #expect(Duration.milliseconds(12).shown == "12 ms")
        #expect(Duration.milliseconds(1_500).shown == "1.5 s")
        #expect(Duration.seconds(600).shown == "10 min")
        #expect(Duration.seconds(90).shown == "1 min 30 s")
        #expect(shownRate(12_500) == "100 kbit/s")
        #expect(shownRate(1_000_000) == "8.0 Mbit/s")
        #expect(shownRate(11_000_000) == "88 Mbit/s")
        #expect(shownRate(250_000_000) == "2.0 Gbit/s")
    }
}
