import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Large transfers through server, Squid, client and service, each a process.
    @Suite(.serialized)
    struct BulkTests {
        /// The size of each transfer; 1 GiB with `CULVERT_HEAVY=1`.
        static var mebibytes: Int { TestRun.isHeavy ? 1_024 : 64 }

        @Test(
            "An upload and a download at once keep their SHA-256 beside 200 short connections",
            .needs(.squid, .nginx, .curl, .openssl),
            .timeLimit(.minutes(10))
        )
        func bothWays() async throws {
            try await Scenario.run { scenario in
                let root = try scenario.folder("files")
                for name in ["down", "up"] { try Self.writeRandomFile("\(root)/\(name)") }
                let files = try await Nginx.files(in: root, of: scenario)
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let squid = try await Squid.start(in: scenario)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(files.port)", "0:127.0.0.1:\(echo.port)"],
                    options: ["--proxy", squid.url]
                )
                let filesPort = try await client.tunnel(to: files.port)
                let echoPort = try await client.tunnel(to: echo.port)

                let silent = ["--silent", "--show-error", "--fail", "--noproxy", "*"]
                let url = "http://127.0.0.1:\(filesPort)"
                let limit = Duration.seconds(540)
                async let download = scenario.run(
                    .curl,
                    silent + ["-o", "\(root)/down.got", "\(url)/down"],
                    within: limit
                )
                async let upload = scenario.run(.curl, silent + ["-T", "\(root)/up", "\(url)/up.got"], within: limit)
                async let others: Void = onThreads(200, width: 10) { index in
                    let visitor = try TCPSocket(port: echoPort)
                    let bytes = randomBytes(100 * index)
                    for _ in 0..<5 {
                        try visitor.send(bytes)
                        guard try visitor.receive(exactly: bytes.count) == bytes else {
                            throw ScenarioFailure(description: "connection \(index) got other bytes")
                        }
                    }
                    if index.isMultiple(of: 10) { visitor.abort() } else { visitor.close() }
                }
                _ = try await (download, upload, others)
                for name in ["down", "up"] {
                    let digests = try await scenario.run(
                        .openssl,
                        ["dgst", "-sha256", "-r", "\(root)/\(name)", "\(root)/\(name).got"],
                        within: .seconds(120)
                    )
                    let sums = digests.split(separator: "\n").map { $0.prefix { $0 != " " } }
                    #expect(sums.count == 2 && sums[0] == sums[1], "\(digests)")
                }
                #expect(client.process.output.lines.count == 2, "there was one session")
                await client.process.end()
                try await eventually("Squid logs the tunnel") {
                    squid.connects(to: server.port).contains { $0.contains("TCP_TUNNEL/200") }
                }
            }
        }

        static func writeRandomFile(_ path: String, mebibytes: Int = mebibytes) throws {
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o644])
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            let random = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom"))
            for _ in 0..<mebibytes { try file.write(contentsOf: random.read(upToCount: 1 << 20) ?? Data()) }
            try file.close()
        }
    }
}
