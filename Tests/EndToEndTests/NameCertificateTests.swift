import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Host names whose certificates the server gets by itself.
    @Suite(.serialized)
    struct NameCertificateTests {
        /// Looks at both names in Chromium.
        private func look(_ names: [String], _ https: UInt16, _ scenario: Scenario) async throws {
            var arguments: [String] = []
            for name in names {
                let chain = try await scenario.run(
                    .openssl,
                    ["s_client", "-connect", "127.0.0.1:\(https)", "-servername", "\(name).example.test"]
                )
                let file = "\(scenario.directory)/\(name).pem"
                let leaf = try #require(
                    chain.firstRange(of: "-----BEGIN CERTIFICATE-----").flatMap { start in
                        chain.firstRange(of: "-----END CERTIFICATE-----").map {
                            chain[start.lowerBound..<$0.upperBound]
                        }
                    }
                )
                try scenario.write("\(leaf)\n", to: file)
                arguments += ["https://\(name).example.test:\(https)/", file]
            }
            let check = try scenario.python("two.py", arguments + [scenario.directory])
            #expect(try await check.exitStatus(within: .seconds(90)) == .exited(0), "\(check)")
        }

        @Test(
            "Two clients behind two proxies publish names on one server, which gets their certificates from a CA",
            .needs(.pebble, .squid, .tinyproxy, .curl)
        )
        func automatic() async throws {
            try await Scenario.run { scenario in
                let (http, https) = (try FreePorts.next(), try FreePorts.next())
                let pebble = try await Pebble.start(http: http, tls: https, in: scenario)
                let file = "\(scenario.directory)/server.toml"
                try scenario.write(
                    """
                    listen = ["127.0.0.1:0"]
                    http_listen = "127.0.0.1:\(http)"
                    https_listen = "127.0.0.1:\(https)"
                    http_domain = "example.test"
                    allow_names = ["*.example.test"]
                    token_file = "\(scenario.tokenFile)"
                    [acme]
                    directory = "\(pebble.directory)"
                    ca = "\(pebble.authority)"
                    storage = "\(scenario.directory)/acme"
                    """,
                    to: file
                )
                func start() async throws -> (ChildProcess, String) {
                    let process = try scenario.culvert("server", ["server", "--config", file])
                    let line = try await process.line { $0.hasPrefix("listening ws://") }
                    return (process, String(line.dropFirst("listening ".count)))
                }
                let (server, url) = try await start()
                let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
                let squid = try await Squid.start(in: scenario)
                let tinyproxy = try await Tinyproxy.start(in: scenario)
                let first = try scenario.client(
                    url,
                    ["http:a:\(one.port)"],
                    options: ["--name", "first", "--proxy", squid.url]
                )
                let second = try scenario.client(
                    url,
                    ["http:b:\(two.port)"],
                    options: ["--name", "second", "--proxy", tinyproxy.url]
                )
                #expect(try await first.name("a.example.test") == "https://a.example.test:\(https)")
                #expect(try await second.name("b.example.test") == "https://b.example.test:\(https)")
                for name in ["a", "b"] {
                    _ = try await server.logLine {
                        $0.contains("certificate issued") && $0.contains("\(name).example.test")
                    }
                }
                let root = "\(scenario.directory)/root.pem"
                try await scenario.run(
                    .curl,
                    ["-sS", "--cacert", pebble.authority, "-o", root, "https://localhost:\(pebble.management)/roots/0"]
                )
                func visit(_ name: String) async throws -> String {
                    try await scenario.run(
                        .curl,
                        [
                            "-sS", "--max-time", "20", "--cacert", root, "--resolve",
                            "\(name).example.test:\(https):127.0.0.1", "https://\(name).example.test:\(https)/",
                        ]
                    )
                }
                for _ in 0..<5 {
                    #expect(try await visit("a").hasPrefix("one\nGET / "))
                    #expect(try await visit("b").hasPrefix("two\nGET / "))
                }
                if TestRun.isHeavy { try await look(["a", "b"], https, scenario) }
                // A stranger's name costs no order.
                let stranger = try scenario.start(
                    "openssl",
                    try Program.openssl.required(),
                    ["s_client", "-connect", "127.0.0.1:\(https)", "-servername", "c.example.test"]
                )
                _ = try await stranger.exitStatus()
                #expect(stranger.errors.text.contains("unrecognized name"))
                #expect(!server.errors.text.contains("c.example.test: "))
            }
        }
    }
}
