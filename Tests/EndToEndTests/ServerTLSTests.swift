import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// TLS with the server: verification of its certificate, and no option that disables it.
    @Suite(.serialized)
    struct ServerTLSTests {
        struct Row: Sendable, CustomTestStringConvertible {
            let testDescription: String
            var names: String? = "DNS:localhost,IP:127.0.0.1"
            var days = 2
            var host = "localhost"
            let says: [String]
        }

        static let rows = [
            Row(testDescription: "has expired", days: -1, says: ["of localhost", "has expired"]),
            Row(
                testDescription: "is for another name",
                names: "DNS:other.example,DNS:localhost.other.example",
                says: ["not for localhost", "other.example"]
            ),
            Row(
                testDescription: "is for a wildcard of subdomains",
                names: "DNS:*.localhost",
                says: ["not for localhost", "*.localhost"]
            ),
            Row(
                testDescription: "is for another address",
                names: "DNS:localhost,IP:127.0.0.2",
                host: "127.0.0.1",
                says: ["not for 127.0.0.1", "127.0.0.2"]
            ),
            Row(
                testDescription: "has the address of the connection's other end, and another name",
                names: "DNS:evil.example,IP:127.0.0.1",
                says: ["not for localhost", "evil.example"]
            ),
            Row(
                testDescription: "has its name only as common name",
                names: nil,
                says: ["not for localhost", "it names no host"]
            ),
        ]

        @Test("A17 a server's certificate is refused if it", .needs(.openssl), arguments: rows)
        func refused(row: Row) async throws {
            try await Scenario.run { scenario in
                let certificate = try await Certificate.make(in: scenario, for: row.names, days: row.days)
                let server = try await scenario.server(options: [
                    "--tls-certificate", certificate.certificate, "--tls-key", certificate.key,
                ])
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://\(row.host):\(server.port)",
                    ["--ca", certificate.authority, "--max-retries", "0"]
                )
                for words in row.says { #expect(line.contains(words), "\(line)") }
                #expect(!server.process.errors.text.contains("session opened"))
            }
        }

        @Test(
            "Through a proxy, a certificate for the proxy's address does not match the server's name",
            .needs(.openssl)
        )
        func addressOfTheProxy() async throws {
            try await Scenario.run { scenario in
                let (server, authority) = try await scenario.secureServer(for: "DNS:evil.example,IP:127.0.0.1")
                let proxy = try ScriptedProxy.open()
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://tunnel.test:\(server.port)",
                    ["--proxy", proxy.url, "--ca", authority, "--max-retries", "0"]
                )
                expect(line, says: "not for tunnel.test", "evil.example")
                #expect(!server.process.errors.text.contains("session opened"))
            }
        }

        @Test("A17 a server with TLS 1.1 at most is refused with that reason", .needs(.openssl))
        func oldVersion() async throws {
            try await Scenario.run { scenario in
                let certificate = try await Certificate.make(in: scenario)
                let port = try await scenario.opensslServer(
                    certificate.certificate,
                    certificate.key,
                    ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
                )
                let line = try await scenario.expectEnd(
                    69,
                    from: "wss://localhost:\(port)",
                    ["--ca", certificate.authority, "--max-retries", "0"]
                )
                expect(line, says: "TLS", "localhost does not speak TLS 1.2 or newer")
            }
        }

        @Test("A16 no option and no key disables verification")
        func noSwitch() async throws {
            try await Scenario.run { scenario in
                let help = try scenario.culvert("help", ["client", "--help"])
                _ = try await help.exitStatus()
                for word in ["insecure", "verif", "no-check", "skip"] {
                    #expect(!help.output.text.lowercased().contains(word), "\(word)")
                }
                let path = "\(scenario.directory)/client.toml"
                for key in ["insecure", "tls_verify", "verify"] {
                    try scenario.write("url = \"wss://h\"\n\(key) = true\n", to: path)
                    let check = try scenario.culvert("check", ["check", "--config", path])
                    #expect(try await check.exitStatus() == .exited(78))
                    #expect(check.errors.text.contains(":2: \(key): unknown key"))
                }
            }
        }

        @Test(
            "A15 ws:// to an address other than loopback without a seal causes a warning at each start; a redirect is not followed"
        )
        func plain() async throws {
            try await Scenario.run { scenario in
                let plain = try scenario.client(
                    "ws://192.0.2.1:9",
                    ["0:localhost:9"],
                    options: ["--encryption", "off"]
                )
                _ = try await plain.process.logLine { $0.contains("ws:// without TLS") }
                let elsewhere = try TCPService.echo()
                let moved = try TCPService { socket in
                    _ = try socket.receive()
                    try socket.send(
                        "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:\(elsewhere.port)/tunnel\r\n"
                            + "Content-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                    try socket.finishSending()
                    _ = try socket.receiveToEnd()
                }
                let loopback = try scenario.client(
                    "ws://127.0.0.1:\(moved.port)",
                    ["0:localhost:9"],
                    options: ["--max-retries", "0"]
                )
                #expect(try await loopback.process.exitStatus() != .exited(0))
                #expect(loopback.process.errors.text.contains("302"), "\(loopback.process)")
                #expect(!loopback.process.errors.text.contains("without TLS"))
                #expect(elsewhere.accepted == 0)
            }
        }
    }
}
