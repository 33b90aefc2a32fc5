import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Host names over TLS: terminated by the name's certificate, or passed through.
    @Suite(.serialized)
    struct NameTLSTests {
        /// A server with a certificate for all names below `example.test`.
        private func start(in scenario: Scenario, more: String = "") async throws -> (NameServer, Certificate) {
            let certificate = try await Certificate.make(in: scenario, for: "DNS:*.example.test")
            let file = "\(scenario.directory)/server.toml"
            try scenario.write(
                """
                \(more)
                [[certificate]]
                certificate = "\(certificate.certificate)"
                key = "\(certificate.key)"
                """,
                to: file
            )
            return (try await NameServer.start(in: scenario, options: ["--config", file], https: true), certificate)
        }

        private func curl(
            _ scenario: Scenario,
            _ names: NameServer,
            _ certificate: Certificate,
            _ name: String,
            _ path: String = "/",
            _ options: [String] = []
        ) async throws -> String {
            try await scenario.run(
                .curl,
                [
                    "-sS", "--max-time", "20", "--cacert", certificate.authority, "--resolve",
                    "\(name):\(names.https):127.0.0.1",
                ] + options + ["https://\(name):\(names.https)\(path)"]
            )
        }

        @Test(
            "TLS is terminated with the name's certificate, and a tls: name is passed through",
            .needs(.curl, .openssl)
        )
        func both() async throws {
            try await Scenario.run { scenario in
                let (names, certificate) = try await start(in: scenario)
                let own = try await Certificate.make(in: scenario, for: "DNS:own.example.test", issuer: "Its own CA")
                let service = try TCPService.http("app")
                let inner = try await scenario.server(options: [
                    "--tls-certificate", own.certificate, "--tls-key", own.key, "--backend",
                    "http://127.0.0.1:\(service.port)",
                ])
                let client = try scenario.client(
                    names.server.url,
                    ["http:app:\(service.port)", "tls:own:127.0.0.1:\(inner.port)"]
                )
                #expect(try await client.name("app.example.test") == "https://app.example.test:\(names.https)")
                #expect(try await client.name("own.example.test") == "tls://own.example.test:\(names.https)")
                for version in ["--http1.1", "--http2"] {
                    let answer = try await curl(scenario, names, certificate, "app.example.test", "/x", [version])
                    #expect(answer.hasPrefix("app\nGET /x HTTP/1.1\r\nHost: app.example.test:\(names.https)\r\n"))
                    #expect(answer.contains("X-Forwarded-Proto: https\r\n"))
                }
                #expect(try await curl(scenario, names, own, "own.example.test").hasPrefix("app\nGET / "))
            }
        }

        @Test(
            "A ClientHello without a name, or with an unknown one, gets the alert unrecognized_name",
            .needs(.openssl)
        )
        func alerts() async throws {
            try await Scenario.run { scenario in
                let (names, _) = try await start(in: scenario)
                let service = try TCPService.http("app")
                let client = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                for options in [["-noservername"], ["-servername", "other.example.test"]] {
                    let process = try scenario.start(
                        "openssl",
                        try Program.openssl.required(),
                        ["s_client", "-connect", "127.0.0.1:\(names.https)"] + options
                    )
                    _ = try await process.exitStatus()
                    #expect(process.errors.text.contains("unrecognized name"), "\(process)")
                }
                try await onThread {
                    let plain = try TCPSocket(port: names.https, timeout: .seconds(20))
                    try plain.send("GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                    #expect(try plain.drain().bytes.isEmpty)
                }
            }
        }

        @Test("Bodies of all forms pass over HTTP/2", .needs(.curl))
        func http2() async throws {
            try await Scenario.run { scenario in
                let (names, certificate) = try await start(in: scenario)
                let service = try TCPService.http("app")
                let client = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                func get(_ path: String, _ options: [String] = []) async throws -> String {
                    try await curl(scenario, names, certificate, "app.example.test", path, ["--http2"] + options)
                }
                #expect(try await get("/chunked") == "hello world")
                #expect(try await get("/close") == "until the end")
                #expect(try await get("/bytes/3000000").utf8.count == 3_000_000)
                #expect(try await get("/bytes/9", ["-I"]).lowercased().contains("content-length: 9"))
                #expect(try await get("/empty", ["-o", "/dev/null", "-w", "%{http_code} %{http_version}"]) == "204 2")
                #expect(try await get("/", ["-d", "hello"]).split(whereSeparator: \.isNewline).last == "5")
                let file = "\(scenario.directory)/upload"
                try scenario.write(String(repeating: "y", count: 2_000_000), to: file)
                let upload = try await get("/", ["-T", file, "-X", "POST"])
                #expect(upload.split(whereSeparator: \.isNewline).last == "2000000")
                #expect(try await get("/garbage", ["-o", "/dev/null", "-w", "%{http_code}"]) == "502")
            }
        }

        @Test("A coalesced connection that asks for another certificate's name gets 421", .needs(.curl, .openssl))
        func misdirected() async throws {
            try await Scenario.run { scenario in
                let other = try await Certificate.make(in: scenario, for: "DNS:other.example.test", issuer: "Other CA")
                let (names, certificate) = try await start(
                    in: scenario,
                    more: "[[certificate]]\ncertificate = \"\(other.certificate)\"\nkey = \"\(other.key)\""
                )
                let service = try TCPService.http("app")
                let client = try scenario.client(
                    names.server.url,
                    ["http:app:\(service.port)", "http:second:\(service.port)", "http:other:\(service.port)"]
                )
                for name in ["app", "second", "other"] { _ = try await client.name("\(name).example.test") }
                for version in ["--http1.1", "--http2"] {
                    func status(_ host: String) async throws -> String {
                        try await curl(
                            scenario,
                            names,
                            certificate,
                            "app.example.test",
                            "/",
                            [version, "-H", "Host: \(host)", "-o", "/dev/null", "-w", "%{http_code}"]
                        )
                    }
                    #expect(try await status("second.example.test:\(names.https)") == "200")
                    #expect(try await status("other.example.test") == "421")
                    #expect(try await status("nowhere.example.test") == "421")
                }
            }
        }

        @Test(
            "The endpoint shares an address with host names, and redirect_https sends visitors to TLS",
            .needs(.openssl)
        )
        func shared() async throws {
            try await Scenario.run { scenario in
                let certificate = try await Certificate.make(in: scenario, for: "DNS:*.example.test")
                let ports = [try FreePorts.next(), try FreePorts.next()]
                let file = "\(scenario.directory)/server.toml"
                try scenario.write(
                    """
                    listen = ["127.0.0.1:\(ports[0])"]
                    http_listen = "127.0.0.1:\(ports[0])"
                    https_listen = "127.0.0.1:\(ports[1])"
                    http_domain = "example.test"
                    allow_names = ["*.example.test"]
                    redirect_https = true
                    token_file = "\(scenario.tokenFile)"
                    [[certificate]]
                    certificate = "\(certificate.certificate)"
                    key = "\(certificate.key)"
                    """,
                    to: file
                )
                let server = try scenario.culvert("server", ["server", "--config", file])
                _ = try await server.line { $0 == "listening ws://127.0.0.1:\(ports[0])/tunnel" }
                let service = try TCPService.http("app")
                let client = try scenario.client("ws://127.0.0.1:\(ports[0])", ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                try await onThread {
                    let visitor = HTTPConnection(try TCPSocket(port: ports[0], timeout: .seconds(20)))
                    let answer = try visitor.get("/x?y=1", host: "app.example.test")
                    #expect(answer.status == 308)
                    #expect(answer.head.contains("Location: https://app.example.test:\(ports[1])/x?y=1\r\n"))
                }
            }
        }
    }
}
