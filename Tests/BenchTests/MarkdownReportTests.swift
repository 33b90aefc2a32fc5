import Testing

@testable import culvert_bench

@Suite struct MarkdownReportTests {
    @Test(
        arguments: [
            (0, 0, "0"), (999.4, 0, "999"), (999.6, 0, "1,000"), (1_234_567.891, 2, "1,234,567.89"),
            (-1_234.5, 1, "-1,234.5"),
        ] as [(Double, Int, String)]
    )
    func numbersHaveThousandsSeparators(value: Double, decimals: Int, text: String) {
        #expect(MarkdownReport.number(value, decimals) == text)
    }

    @Test func aTableShowsMediansRatiosSpreadAndFaults() {
        var results = Results<TrialPlace>()
        for (system, rates) in [(System.haproxy, [1_000.0, 3_000, 2_000]), (.culvert, [1_000, 1_400])] {
            for rate in rates {
                results.add(
                    Measurement(values: [.megabytesPerSecond: rate, .peakMebibytes: 7], faults: 1),
                    at: .init(workload: .download, system: system)
                )
            }
        }
        results.add(failure: "it did not start", at: .init(workload: .download, system: .culvert))
        let report = MarkdownReport(
            results: results,
            systems: [.direct, .haproxy, .culvert],
            workloads: [.download, .upload],
            size: Size(seconds: 1, idle: 1, visitors: 1),
            head: "head"
        )
        #expect(
            report.text == """
                head

                ## One download

                | system | MB/s | ratio | CPU s/GB | peak MiB above idle | spread | faults |
                |---|--:|--:|--:|--:|--:|--:|
                | haproxy | 2,000 | 1.00 | – | 7.0 | 1,000 to 3,000 | 3 |
                | culvert | 1,200 | 0.60 | – | 7.0 | 1,000 to 1,400 | 3 |

                culvert failed: it did not start

                """
        )
        #expect(results.faults == 6)
    }
}
