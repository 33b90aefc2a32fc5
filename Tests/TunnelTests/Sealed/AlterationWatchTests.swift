import Mux
import Testing

@testable import TunnelCore

/// When carriers that end altered are a fault or an attack.
@Suite("Altered carriers in succession")
struct AlterationWatchTests {
    /// The numbers of the carriers at which the watch reports, given the seconds of their ends.
    private func reports(_ seconds: [Double]) -> [Int] {
        var watch = AlterationWatch()
        let start = Instant(nanoseconds: 1_000_000_000_000)
        return seconds.indices.filter { watch.record(now: start + .seconds(seconds[$0])) }
    }

    @Test("The third within a minute is reported, and the second is not")
    func third() {
        #expect(reports([0, 0]).isEmpty)
        #expect(reports([0, 30, 60]) == [2])
        #expect(reports([0, 0, 0]) == [2])
    }

    @Test("Three in more than a minute are not reported")
    func spread() {
        #expect(reports([0, 30, 60.001]).isEmpty)
        #expect(reports((0..<1_000).map { Double($0) * 31 }).isEmpty)
    }

    @Test("The minute moves: the last three count, whenever the first was")
    func moving() {
        #expect(reports([0, 50, 70, 100]) == [3])
        #expect(reports([0, 59, 61, 118, 119]) == [3])
    }

    @Test("After a report the count begins anew, so there is one line for three carriers")
    func repetition() {
        #expect(reports([Double](repeating: 5, count: 10)) == [2, 5, 8])
    }

    @Test("A clock that stands still or is at its end does not trap")
    func clock() {
        var watch = AlterationWatch()
        let end = Instant(nanoseconds: .max)
        let results = [end, Instant(nanoseconds: 0), end, end].map { watch.record(now: $0) }
        #expect(results == [false, false, false, true])
    }
}
