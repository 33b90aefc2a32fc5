import Foundation
import Testing

@testable import culvert_bench

@Suite("The report of a run over paths") struct PathReportTests {
    private let shape = PathShape(delayMilliseconds: 50, megabitsPerSecond: 100, lossPercent: 0.2)
    private let one = PathSystem(kind: .culvert, name: "one", flags: ["--carriers", "1"])

    private func results() -> PathResults {
        let packets = PathCounts(up: .init(passed: 9, lost: 1, overflowed: 0), down: .init())
        var results = PathResults()
        for (system, rates) in [(PathSystem.direct, [8.0, 7, 12]), (one, [16, 14.2])] {
            for (round, rate) in rates.enumerated() {
                let values: [Figure: Double] = [.megabitsPerSecond: rate, .aloneMedian: 100.5, .besideMedian: 125]
                let found = PathMeasurement(measurement: Measurement(values: values), packets: packets)
                results.add(found, round: round, at: .init(shape: shape, system: system))
            }
        }
        return results
    }

    private func run(_ settings: PathSettings = PathSettings()) -> PathRun {
        PathRun(systems: [.direct, one], shapes: [shape], rounds: 3, settings: settings)
    }

    @Test("a table compares medians with those of the bare connection") func table() {
        let report = PathReport(run: run(), results: results().table, notes: ["chisel is skipped."]).text
        #expect(report.contains("- `one`: the client with `--carriers 1`\n\nchisel is skipped."))
        #expect(
            report.hasSuffix(
                """
                ## 100 ms, 100 Mbit/s, 0.2 % loss: one download, and a request every 100 ms

                | system | Mbit/s | ratio | request alone, p50 ms | p95 | p99 | beside, p50 ms | p95 | p99 | spread | faults |
                |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
                | direct | 8.0 | 1.00 | 100 | – | – | 125 | – | – | 7.0 to 12.0 | 0 |
                | one | 15.1 | 1.89 | 100 | – | – | 125 | – | – | 14.2 to 16.0 | 0 |

                """
            )
        )
    }

    @Test("without requests the table has the bulk transfer only, and a throttle is in its title") func bulkOnly() {
        let settings = PathSettings(uploads: true, hasRequests: false, throttle: 10)
        let report = PathReport(run: run(settings), results: results().table, notes: []).text
        #expect(
            report.contains(
                """
                ## 100 ms, 100 Mbit/s, 0.2 % loss, 10 Mbit/s for each connection: one upload

                | system | Mbit/s | ratio | spread | faults |
                """
            )
        )
    }

    @Test("JSON has each trial with its figures and packets") func json() throws {
        let text = try PathJSON(run(), results()).text
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let trials = try #require(object?["trials"] as? [[String: Any]])
        #expect(trials.count == 5)
        #expect(trials[3]["system"] as? String == "one" && trials[3]["flags"] as? [String] == ["--carriers", "1"])
        #expect((trials[3]["figures"] as? [String: Double])?["mbit_s"] == 16)
        #expect((trials[3]["packets"] as? [String: [String: Int]])?["up"]?["lost"] == 1)
    }
}
