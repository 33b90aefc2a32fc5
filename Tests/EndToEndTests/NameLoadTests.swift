import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Host names under load, and bodies of 1 GiB. Both ends keep their memory and their descriptors.
    @Suite(.serialized, .enabled(if: TestRun.isHeavy))
    struct NameLoadTests {
        /// The memory by which each end may grow.
        private static let growth = 40 << 20

        private func run(_ body: (Scenario, NameServer, Certificate) async throws -> Void) async throws {
            try await Scenario.run { scenario in
                let folder = try scenario.folder("www")
                let nginx = try await Nginx.files(
                    in: folder,
                    of: scenario,
                    settings: "keepalive_requests 100000; location /ok { return 200 ok; }"
                )
                let (names, certificate) = try await NameServer.secure(in: scenario)
                let client = try await scenario.names(["app": nginx.port], at: names.server.url)
                try await onThread {
                    for _ in 0..<100 { _ = try names.visit().get("/ok", host: "app.example.test") }
                }
                let processes = [names.server.process, client.process]
                let before = (try processes.map { try $0.residentBytes }, try await settledDescriptors(processes))
                try await body(scenario, names, certificate)
                try await scenario.expectNoStreams()
                for (process, size) in zip(processes, before.0) {
                    let peak = try process.peakResidentBytes
                    #expect(peak < size + Self.growth, "\(process.name): \(size) before, at most \(peak)")
                }
                try await eventually("no descriptor is left", found: { "\(before.1), \(descriptors(processes))" }) {
                    zip(descriptors(processes), before.1).allSatisfy { $0 <= $1 }
                }
            }
        }

        @Test("20,000 requests of h2load and 10 s of wrk have no error", .needs(.h2load, .wrk, .nginx))
        func requests() async throws {
            try await run { scenario, names, _ in
                let load = ["-n", "10000", "-c", "10", "--connect-to"]
                for (options, url) in [
                    (["127.0.0.1:\(names.https)", "-m", "20"], "https://app.example.test:\(names.https)/ok"),
                    (["127.0.0.1:\(names.http)", "--h1"], "http://app.example.test:\(names.http)/ok"),
                ] {
                    let output = try await scenario.run(.h2load, load + options + [url], within: .seconds(300))
                    #expect(output.contains("10000 succeeded, 0 failed, 0 errored"), "\(output)")
                    #expect(output.contains("10000 2xx, 0 3xx, 0 4xx, 0 5xx"), "\(output)")
                }
                let output = try await scenario.run(
                    .wrk,
                    ["-t2", "-c32", "-d10s", "-H", "Host: app.example.test", "http://127.0.0.1:\(names.http)/ok"],
                    within: .seconds(60)
                )
                #expect(!output.contains("Non-2xx") && !output.contains("Socket errors"), "\(output)")
            }
        }

        @Test("Bodies of 1 GiB pass both ways, to a slow reader as well, without growth", .needs(.curl, .nginx))
        func bodies() async throws {
            try await run { scenario, names, certificate in
                let (file, size) = ("\(scenario.directory)/large", 1 << 30)
                try scenario.write("", to: file)
                try FileHandle(forWritingTo: URL(fileURLWithPath: file)).truncate(atOffset: UInt64(size))
                for (version, url) in [
                    ("--http1.1", "http://app.example.test:\(names.http)"),
                    ("--http2", "https://app.example.test:\(names.https)"),
                ] {
                    func curl(_ path: String, _ options: [String]) async throws -> String {
                        let resolve = url.replacing(/https?:\/\//, with: "") + ":127.0.0.1"
                        return try await scenario.run(
                            .curl,
                            [
                                "-sS", version, "--cacert", certificate.authority, "--resolve", resolve, "-o",
                                "/dev/null", "-w", "%{http_code} %{size_download} %{size_upload}",
                            ] + options + [url + path],
                            within: .seconds(400)
                        )
                    }
                    let path = "/\(version.dropFirst(2))"
                    #expect(try await curl(path, ["-T", file]) == "201 0 \(size)")
                    #expect(try await curl(path, []) == "200 \(size) 0")
                    let slow = try await curl(path, ["--limit-rate", "2M", "-r", "0-19999999"])
                    #expect(slow == "206 20000000 0")
                }
            }
        }
    }
}
