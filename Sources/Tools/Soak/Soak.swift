import Foundation
import TestSupport

/// `culvert-soak MINUTES`: runs the real server and client under changing visitors. Meanwhile the path between them is
/// cut and the configuration is reloaded. Fails if memory, descriptors, threads or streams grow.
///
/// `CULVERT_BIN` names the executable under test. The default is the one that was built with this program.
@main
struct Soak {
    static func main() async throws {
        guard let minutes = CommandLine.arguments.dropFirst().first.flatMap(Double.init), minutes > 0 else {
            FileHandle.standardError.write(Data("usage: culvert-soak MINUTES\n".utf8))
            exit(64)
        }
        let growth = try await Scenario.run { @Sendable scenario in
            let rig = try await SoakRig(scenario)
            var report = SoakReport()
            let end = ContinuousClock.now + .seconds(minutes * 60)
            var round = 0
            repeat {
                round += 1
                try await rig.churn(round)
                let samples = try await rig.samplesAtRest()
                report.add(samples)
                print(SoakReport.line(round, samples, rig))
                fflush(nil)
            } while .now < end
            print(report.table)
            return report.growth
        }
        for line in growth { print("GROWN: \(line)") }
        exit(growth.isEmpty ? 0 : 1)
    }
}
