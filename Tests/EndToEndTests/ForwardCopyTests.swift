import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Large copies by scp while the carrier is cut again and again.
    @Suite(.serialized)
    struct ForwardCopyTests {
        /// The way to the sshd.
        enum Way: String, CaseIterable, Sendable {
            case localPort = "-L"
            case standardStreams = "-W"
        }

        private static let mebibytes = 1_024
        private static let period = Duration.seconds(2)
        /// The path's rate, so that the copy lasts for several cuts on any machine.
        private static let bytesPerSecond = 80_000_000

        // The cuts come by time, as those of a proxy with a limit of time do.
        @Test(
            "1 GiB by scp arrives whole while the carrier is cut every 2 s",
            .needs(.sshd, .ssh, .scp, .sshKeygen, .openssl),
            .enabled(if: TestRun.isSlow, "1 GiB: CULVERT_SLOW=1"),
            arguments: Way.allCases
        )
        func cuts(_ way: Way) async throws {
            try await Scenario.run { scenario in
                let sshd = try await Sshd.start(in: scenario)
                let destination = "127.0.0.1:\(sshd.port)"
                let server = try await scenario.server(allowing: [destination])
                let path = try RateRelay(to: server.port, bytesPerSecond: Self.bytesPerSecond)
                let relay = try FaultRelay(to: path.port)
                let url = "ws://127.0.0.1:\(relay.port)"
                let (original, copy) = ("\(scenario.directory)/original", "\(scenario.directory)/copy")
                try BulkTests.writeRandomFile(original, mebibytes: Self.mebibytes)
                let scp: ChildProcess
                switch way {
                case .localPort:
                    let client = try scenario.client(url, [], options: ["-L", "0:\(destination)"])
                    let port = try await client.forward(to: destination)
                    scp = try sshd.copy(original, to: copy, port: port, in: scenario)
                case .standardStreams:
                    let words = [try CulvertExecutable.path()] + scenario.stdioArguments(url, "%h:%p")
                    let proxyCommand = "ProxyCommand=\(words.joined(separator: " "))"
                    scp = try sshd.copy(original, to: copy, port: sshd.port, in: scenario, ["-o", proxyCommand])
                }
                var cuts = 0
                while scp.exitStatus == nil {
                    try await Task.sleep(for: Self.period)
                    relay.cut(FaultRelay.Cut.allCases[cuts % FaultRelay.Cut.allCases.count])
                    cuts += 1
                }
                #expect(try await scp.exitStatus() == .exited(0), "\(scp)")
                #expect(relay.accepted > 2, "\(relay.accepted) carriers")
                let digests = try await scenario.run(
                    .openssl,
                    ["dgst", "-sha256", "-r", original, copy],
                    within: .seconds(120)
                )
                let sums = digests.split(separator: "\n").map { $0.prefix { $0 != " " } }
                #expect(sums.count == 2 && sums[0] == sums[1], "\(digests)")
            }
        }
    }
}
