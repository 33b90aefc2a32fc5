import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// QUIC through `-L …/udp`: ngtcp2's client and server.
    @Suite(.serialized)
    struct ForwardQUICTests {
        private static let bytes = 8 << 20

        @Test(
            "A file by HTTP/3 arrives whole through -L, also while the carrier is cut",
            .needs(.quicClient, .quicServer, .openssl),
            arguments: TestRun.isSlow ? [false, true] : [false]
        )
        func download(_ isCut: Bool) async throws {
            try await Scenario.run { scenario in
                let (files, got) = (try scenario.folder("files"), try scenario.folder("got"))
                let file = randomBytes(Self.bytes)
                try Data(file).write(to: URL(fileURLWithPath: "\(files)/file"))
                let certificate = try await Certificate.make(in: scenario)
                let port = try FreePorts.next()
                let web = try scenario.start(
                    "gtlsserver",
                    Program.quicServer.required(),
                    ["-q", "-d", files, "127.0.0.1", "\(port)", certificate.key, certificate.certificate],
                    isKilled: true
                )
                // The server prints nothing once it is bound.
                try await eventually("the port is bound", found: { web.description }) {
                    (try? UDPSocket(port: port)) == nil
                }
                let destination = "127.0.0.1:\(port)"
                let server = try await scenario.server(allowing: [destination])
                let relay = try RateRelay(to: server.port, bytesPerSecond: 4_000_000)
                let cutter = try FaultRelay(to: isCut ? relay.port : server.port)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(cutter.port)",
                    [],
                    options: ["-L", "0:\(destination)/udp"]
                )
                let local = try await client.datagramPort(to: destination)
                let request = try scenario.start(
                    "gtlsclient",
                    Program.quicClient.required(),
                    [
                        "-q", "--exit-on-all-streams-close", "--download=\(got)", "localhost", "\(local)",
                        "https://localhost:\(local)/file",
                    ]
                )
                if isCut {
                    try await eventually("bytes arrive") { Self.size("\(got)/file") > Self.bytes / 8 }
                    cutter.cut(.reset)
                    _ = try await client.process.logLine { $0.contains("session resumed") }
                    #expect(Self.size("\(got)/file") < Self.bytes, "the carrier was cut too late")
                }
                #expect(try await request.exitStatus(within: .seconds(60)) == .exited(0), "\(request)")
                #expect(FileManager.default.contents(atPath: "\(got)/file") == Data(file))
            }
        }

        private static func size(_ path: String) -> Int {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return attributes?[.size] as? Int ?? 0
        }
    }
}
