import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `iperf3 -u` through `-L` and `-L …/udp`.
    @Suite(.serialized)
    struct ForwardIperfTests {
        /// 10 Mbit/s.
        private static let bytesPerSecond = 1_250_000

        private struct Report: Decodable {
            struct Sum: Decodable {
                let packets: Int
                let lost_percent: Double
            }

            struct End: Decodable {
                let sum: Sum
            }

            let end: End
        }

        @Test(
            "iperf3 -u ends in order at twice the carrier's rate, both ways, and memory stays level",
            .needs(.iperf),
            .enabled(if: TestRun.isSlow, "half a minute each: CULVERT_SLOW=1"),
            arguments: [[], ["--reverse"]]
        )
        func overload(_ direction: [String]) async throws {
            try await Scenario.run { scenario in
                let (port, local) = (try FreePorts.next(), try FreePorts.next())
                let service = try scenario.start(
                    "iperf3 -s",
                    Program.iperf.required(),
                    ["-s", "-B", "127.0.0.1", "-p", "\(port)", "--one-off", "--forceflush"],
                    isKilled: true
                )
                _ = try await service.line { $0.contains("listening on") }
                let destination = "127.0.0.1:\(port)"
                let server = try await scenario.server(allowing: [destination])
                let relay = try RateRelay(to: server.port, bytesPerSecond: Self.bytesPerSecond)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    [],
                    options: ["-L", "\(local):\(destination)", "-L", "\(local):\(destination)/udp"]
                )
                _ = try await client.forward(to: destination)
                _ = try await client.datagramPort(to: destination)
                let rate = "\(2 * 8 * Self.bytesPerSecond)"
                let iperf = try scenario.start(
                    "iperf3 -c",
                    Program.iperf.required(),
                    ["-c", "127.0.0.1", "-p", "\(local)", "-u", "-b", rate, "-l", "1200", "-t", "20", "-J"] + direction
                )
                #expect(try await iperf.exitStatus(within: .seconds(120)) == .exited(0), "\(iperf)")
                let report = try JSONDecoder().decode(Report.self, from: Data(iperf.output.text.utf8))
                let lost = report.end.sum.lost_percent
                #expect(report.end.sum.packets > 20_000 && lost > 30 && lost < 65, "\(lost) % are lost")
                for process in [server.process, client.process] {
                    let peak = try process.peakResidentBytes
                    #expect(peak < 120 << 20, "\(process.name): \(peak >> 20) MiB")
                }
            }
        }
    }
}
