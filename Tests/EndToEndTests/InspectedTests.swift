import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Sessions through proxies that end TLS with a certificate of their own, whose CA the client trusts.
    @Suite(.serialized)
    struct InspectedTests {
        /// The size of each transfer; 100 MB with `CULVERT_HEAVY=1`.
        static var bytes: Int { TestRun.isHeavy ? 100_000_000 : 4_000_000 }

        /// A block of random bytes, again and again.
        private struct PatternFile {
            let block = randomBytes(65_536)

            func write(to path: String) throws {
                let data = Data(block)
                _ = FileManager.default.createFile(atPath: path, contents: nil)
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                for start in stride(from: 0, to: InspectedTests.bytes, by: block.count) {
                    try file.write(contentsOf: data.prefix(InspectedTests.bytes - start))
                }
                try file.close()
            }

            /// Pieces, of which any 1 KiB of the pattern has one.
            var needles: [[UInt8]] { stride(from: 0, to: block.count, by: 1_000).map { Array(block[$0..<$0 + 16]) } }
        }

        /// A server with TLS, and the CA of the proxy that inspects.
        private static func inspected(
            _ scenario: Scenario
        ) async throws -> (url: String, serverAuthority: String, inspector: IssuedCertificate) {
            let certificate = try await Certificate.make(in: scenario)
            let server = try await scenario.server(
                options: ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
            )
            let inspector = try await IssuedCertificate.make(
                .authority("Office inspection CA"),
                in: scenario,
                named: "inspection"
            )
            return ("wss://localhost:\(server.port)/tunnel", certificate.authority, inspector)
        }

        @Test(
            "A sealed session goes through a Squid that inspects TLS, and it reads the upgrade alone",
            .needs(.squid, .squidCertificates, .openssl)
        )
        func squid() async throws {
            try await Scenario.run { scenario in
                let (url, authority, inspector) = try await Self.inspected(scenario)
                let squid = try await Squid.inspecting(in: scenario, inspector, serverAuthority: authority)
                let service = try TCPService.answerAfterEnd()
                let client = try scenario.client(
                    url,
                    ["0:127.0.0.1:\(service.port)"],
                    options: ["--proxy", squid.url, "--ca", inspector.certificate, "--encryption", "required"]
                )
                let port = try await client.tunnel(to: service.port)
                let bytes = randomBytes(1_000_000)
                let answer = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send(bytes)
                    try visitor.finishSending()
                    return try visitor.receiveToEnd()
                }
                #expect(answer == Array("1000000\n".utf8) + bytes)
                #expect(client.process.errors.text.contains("sealed="))
                #expect(!client.process.errors.text.contains("sealed=no"))
                await client.process.end()
                try await eventually("Squid logs the upgrade that it has read", found: { squid.log }) {
                    squid.log.contains("/101 GET \(url.replacing("wss:", with: "https:"))")
                }
            }
        }

        @Test(
            "ssh, an upload and a download through a proxy that records: all exact, and nothing of them in its records",
            .needs(.python, .openssl, .nginx, .curl, .sshd, .ssh, .sshKeygen, .scp),
            .timeLimit(.minutes(15)),
            arguments: [true, false]
        )
        func recorded(isSealed: Bool) async throws {
            try await Scenario.run { scenario in
                let (url, _, inspector) = try await Self.inspected(scenario)
                let proxy = try await Self.recorder(inspector, scenario)
                let root = try scenario.folder("files")
                let pattern = PatternFile()
                try pattern.write(to: "\(root)/secret-down")
                try pattern.write(to: "\(root)/secret-up")
                let files = try await Nginx.files(in: root, of: scenario)
                let sshd = try await Sshd.start(in: scenario)
                let client = try scenario.client(
                    url,
                    ["0:localhost:\(files.port)", "0:localhost:\(sshd.port)"],
                    options: [
                        "--proxy", "http://127.0.0.1:\(proxy.port)", "--ca", inspector.certificate,
                        "--encryption", isSealed ? "required" : "off", "--name", "laptop-of-alma",
                    ]
                )
                let (filesPort, sshPort) = (
                    try await client.tunnel(to: files.port), try await client.tunnel(to: sshd.port)
                )
                try await Self.transfer(root, filesPort, sshd, sshPort, scenario)

                // What an end would tell the other.
                let texts = [
                    "laptop-of-alma", "localhost:\(URL(string: url)?.port ?? 0)", "GET /secret-down", "PUT /secret-up",
                    "SSH-2.0-",
                ]
                let ports = [filesPort, sshPort].map { [UInt8(ascii: "1"), 3, 0, 2, UInt8($0 >> 8), UInt8($0 & 0xFF)] }
                let needles = texts.map { Array($0.utf8) } + ports + pattern.needles
                let found = try await Self.search(needles, in: proxy.folder, scenario)
                #expect(found.bytes > 2 * Self.bytes)
                if isSealed {
                    #expect(found.needles.isEmpty, "\(found.needles)")
                } else {
                    #expect(Set(found.needles).count == needles.count)
                }
                await client.process.end()
            }
        }

        /// Uploads, downloads and copies by ssh at once, and requires exact files.
        private static func transfer(
            _ root: String,
            _ filesPort: UInt16,
            _ sshd: Sshd,
            _ sshPort: UInt16,
            _ scenario: Scenario
        ) async throws {
            let silent = ["--silent", "--show-error", "--fail", "--noproxy", "*"]
            let url = "http://127.0.0.1:\(filesPort)"
            let limit = Duration.seconds(600)
            async let download = scenario.run(
                .curl,
                silent + ["-o", "\(root)/down.got", "\(url)/secret-down"],
                within: limit
            )
            async let upload = scenario.run(
                .curl,
                silent + ["-T", "\(root)/secret-up", "\(url)/secret-up.got"],
                within: limit
            )
            let copy = try sshd.copy("\(root)/secret-up", to: "\(root)/ssh.got", port: sshPort, in: scenario)
            #expect(try await copy.exitStatus(within: limit) == .exited(0), "\(copy)")
            _ = try await (download, upload)
            for (sent, got) in [("secret-down", "down.got"), ("secret-up", "secret-up.got"), ("secret-up", "ssh.got")] {
                #expect(
                    FileManager.default.contentsEqual(atPath: "\(root)/\(sent)", andPath: "\(root)/\(got)"),
                    "\(got)"
                )
            }
        }

        /// Starts the proxy that records, with a certificate of the inspector.
        private static func recorder(
            _ inspector: IssuedCertificate,
            _ scenario: Scenario
        ) async throws -> (port: UInt16, folder: String) {
            let leaf = try await IssuedCertificate.make(
                .leaf("DNS:localhost"),
                by: inspector,
                in: scenario,
                named: "inspected"
            )
            let (port, folder) = (try FreePorts.next(), try scenario.folder("records"))
            let script = try Fixture.url("bumping-proxy/recorder.py").path
            let process = try scenario.start(
                "recorder",
                [
                    try Program.python.required(), script, "serve", "\(port)", leaf.certificate, leaf.key, folder,
                ],
                isKilled: true
            )
            try await waitUntilListening(port, process)
            return (port, folder)
        }

        private static func search(
            _ needles: [[UInt8]],
            in folder: String,
            _ scenario: Scenario
        ) async throws -> (bytes: Int, needles: [String]) {
            let file = "\(scenario.directory)/needles"
            let lines = needles.map { $0.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() }
            try scenario.write(lines.joined(separator: "\n"), to: file)
            let script = try Fixture.url("bumping-proxy/recorder.py").path
            let output = try await scenario.run(.python, [script, "search", folder, file], within: .seconds(300))
            let found = output.split(separator: "\n").map(String.init)
            return (found.first.flatMap { Int($0) } ?? 0, Array(found.dropFirst()))
        }
    }
}
