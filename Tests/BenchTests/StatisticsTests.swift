import Testing

@testable import culvert_bench

@Suite struct StatisticsTests {
    @Test(
        arguments: [([], nil), ([3], 3), ([3, 1], 2), ([9, 1, 2], 2), ([4, 1, 3, 2], 2.5)] as [([Double], Double?)]
    )
    func theMedianIsTheMiddleOrTheMeanOfTwo(values: [Double], median: Double?) {
        #expect(Statistics.median(values) == median)
    }

    @Test(arguments: [(0.5, 50), (0.99, 99), (1, 100), (0, 1), (0.001, 1)] as [(Double, UInt32)])
    func aPercentileIsOneOfTheValues(share: Double, value: UInt32) {
        #expect(Statistics.percentile(share, ofSorted: Array(1...100)) == value)
    }

    @Test func anEmptyListHasNoPercentile() {
        #expect(Statistics.percentile(0.5, ofSorted: []) == nil)
    }

    @Test("a report has percentiles in microseconds, of times in any order") func percentiles() {
        var report = LoadReport()
        report.setPercentiles(of: (1...100).reversed().map { $0 * 1_000 })
        #expect(report.median == 50 && report.percentile95 == 95 && report.percentile99 == 99)
        report.setPercentiles(of: [10_000_000_000])
        #expect(report.median == 10_000_000)
        report.setPercentiles(of: [Int]())
        #expect(report.median == nil && report.percentile95 == nil)
    }
}
