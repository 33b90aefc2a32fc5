import Foundation
import TestSupport
import Testing

@testable import culvert_bench

/// Real runs in network namespaces, with `CULVERT_HEAVY=1` as root.
@Suite(
    "Runs over paths",
    .serialized,
    .enabled(if: TestRun.isHeavy && PathNetwork.notReadyReason == nil, "CULVERT_HEAVY=1 and root")
)
struct WANRunTests {
    private func start(_ arguments: [String], in scenario: Scenario) throws -> ChildProcess {
        let beside = URL(fileURLWithPath: try CulvertExecutable.path()).deletingLastPathComponent()
        let bench = beside.appendingPathComponent("culvert-bench").path
        return try scenario.start("culvert-bench", bench, ["wan", "--systems", "direct", "--rounds", "1"] + arguments)
    }

    private func figures(_ arguments: [String]) async throws -> [String: Double] {
        try await Scenario.run { scenario in
            let file = "\(scenario.directory)/wan.json"
            let run = try start(arguments + ["--json", file], in: scenario)
            #expect(try await run.exitStatus(within: .seconds(60)) == .exited(0))
            let text = try Data(contentsOf: URL(fileURLWithPath: file))
            let object = try JSONSerialization.jsonObject(with: text) as? [String: Any]
            let trial = try #require((object?["trials"] as? [[String: Any]])?.first)
            return try #require(trial["figures"] as? [String: Double])
        }
    }

    private static func arguments(of process: Int32) -> [Substring] {
        ((try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)) ?? "").split(separator: "\0")
    }

    @Test("a bare connection has the rate and the round trip of the path", arguments: [[], ["--upload"]])
    func path(direction: [String]) async throws {
        let found = try await figures(["--paths", "20/20/0", "--seconds", "6"] + direction)
        let (rate, time) = (try #require(found["mbit_s"]), try #require(found["alone_p50_ms"]))
        #expect((15...20).contains(rate))
        #expect((40...45).contains(time))
    }

    @Test("a throttle bounds the connection below the rate of the path")
    func throttle() async throws {
        let found = try await figures(["--paths", "5/100/0", "--seconds", "3", "--throttle", "10", "--bulk-only"])
        #expect((8...10.5).contains(try #require(found["mbit_s"])))
    }

    @Test("an interrupted or killed run leaves no process", arguments: [SIGINT, SIGKILL])
    func end(signal: Int32) async throws {
        try await Scenario.run { scenario in
            let run = try start(["--paths", "5/100/0", "--seconds", "60"], in: scenario)
            let processes = try await eventually("the visitor's requests run") { () -> Set<Int32>? in
                let found = ProcessUsage.withDescendants([run.pid])
                return found.contains { Self.arguments(of: $0).contains("paced") } ? found : nil
            }
            #expect(processes.count > 3)
            run.signal(signal)
            _ = try await run.exitStatus()
            // A process that waits for its parent has no executable any more.
            try await eventually("all processes end") {
                processes.allSatisfy { access("/proc/\($0)/exe", F_OK) != 0 }
            }
        }
    }
}
