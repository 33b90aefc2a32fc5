import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the owner of a name may ask for, and what the operator sees.
    @Suite(.serialized)
    struct NameRelayTests {
        private func client(_ scenario: Scenario, _ names: NameServer, _ text: String) throws -> CulvertClient {
            let file = "\(scenario.directory)/client.toml"
            try scenario.write(text, to: file)
            return try scenario.client(names.server.url, [], options: ["--config", file])
        }

        @Test("Paths lead to several services of one name, and host_header and set_headers change what they get")
        func rules() async throws {
            try await Scenario.run { scenario in
                let (site, api) = (try TCPService.http("site"), try TCPService.http("api"))
                let names = try await NameServer.start(in: scenario)
                let client = try client(
                    scenario,
                    names,
                    """
                    [[tunnel]]
                    protocol = "http"
                    name = "app"
                    local = "127.0.0.1:\(site.port)"
                    [[tunnel]]
                    protocol = "http"
                    name = "app"
                    path = "/api"
                    local = "127.0.0.1:\(api.port)"
                    host_header = "internal:8080"
                    set_headers = ["X-Tunnel: yes", "Cookie: own"]
                    """
                )
                _ = try await client.name("app.example.test")
                _ = try await client.process.line { $0.contains("/api -> ") }
                try await onThread {
                    let visitor = try names.visit()
                    for (path, name) in [("/", "site"), ("/api", "api"), ("/apis", "site"), ("/api/x?y", "api")] {
                        let answer = try visitor.get(path, host: "app.example.test", fields: "Cookie: theirs\r\n")
                        #expect(answer.head.contains("X-Service: \(name)\r\n"), "\(path)")
                        guard name == "api" else { continue }
                        #expect(answer.body.contains("\r\nHost: internal:8080\r\n"))
                        #expect(
                            answer.body.contains("\r\nX-Tunnel: yes\r\n") && answer.body.contains("\r\nCookie: own\r\n")
                        )
                        #expect(answer.body.contains("\r\nX-Forwarded-Host: app.example.test\r\n"))
                        #expect(!answer.body.contains("theirs"))
                    }
                }
            }
        }

        @Test("A visitor needs its password, the service does not get it, and guessing is slowed down")
        func passwords() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let secret = "\(scenario.directory)/secret"
                try scenario.write("correct horse\n", to: secret)
                let line = try scenario.culvert("password", ["password", "al", "--from", secret])
                #expect(try await line.exitStatus() == .exited(0))
                let file = "\(scenario.directory)/visitors"
                try scenario.write("# visitors\n\(line.output.text)\n", to: file)
                let client = try client(
                    scenario,
                    names,
                    """
                    [[tunnel]]
                    protocol = "http"
                    name = "app"
                    local = "127.0.0.1:\(service.port)"
                    basic_auth_file = "\(file)"
                    """
                )
                _ = try await client.name("app.example.test")
                @Sendable func status(_ password: String?) throws -> HTTPConnection.Answer {
                    let field = password.map {
                        "Authorization: Basic \(Data("al:\($0)".utf8).base64EncodedString())\r\n"
                    }
                    return try names.visit().get("/", host: "app.example.test", fields: field ?? "")
                }
                try await onThread {
                    let first = try status(nil)
                    #expect(first.status == 401 && first.head.contains("WWW-Authenticate: Basic"))
                    let right = try status("correct horse")
                    #expect(right.status == 200 && !right.body.contains("Authorization"))
                    let wrong = try (0..<8).map { try status("guess \($0)").status }
                    #expect(wrong.first == 401 && wrong.last == 429)
                    // A visitor that is known goes on beside the guesser.
                    #expect(try status("correct horse").status == 200)
                }
            }
        }

        @Test("Each request has a line in the log, its common fields first, and is counted by name")
        func operators() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let port = try FreePorts.next()
                let names = try await NameServer.start(in: scenario, options: ["--admin", "127.0.0.1:\(port)"])
                let client = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                try await onThread {
                    _ = try names.visit().get("/x?y", host: "app.example.test", fields: "User-Agent: a b\r\n")
                    _ = try names.visit().get("/", host: "nowhere.example.test")
                }
                let line = try await names.server.process.logLine { $0.contains(" request ") && $0.contains("/x?y") }
                #expect(
                    line.contains(#/info request visitor=127\.0\.0\.1:[0-9]+ host=app\.example\.test method=GET/#),
                    "\(line)"
                )
                #expect(
                    line.contains(#/target=/x\?y status=200 bytes=[0-9]+ agent="a b" duration_ms=[0-9]+/#),
                    "\(line)"
                )
                let other = try await names.server.process.logLine { $0.contains("host=nowhere.example.test") }
                #expect(other.contains("status=404") && other.contains("no service has this name"))
                let metrics = try await onThread {
                    try HTTPConnection(TCPSocket(port: port, timeout: .seconds(20))).get("/metrics", host: "127.0.0.1")
                }
                #expect(metrics.body.contains(#"culvert_requests_total{name="app.example.test",status="2xx"} 1"#))
                #expect(metrics.body.contains(#"culvert_requests_total{name="unknown",status="4xx"} 1"#))
            }
        }

        @Test("A service behind tls: learns the visitor's address and name from a PROXY header", .needs(.openssl))
        func proxyHeader() async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    // The fixed part, the length, and what it announces.
                    var header = try socket.receive(exactly: 16)
                    header += try socket.receive(exactly: Int(header[14]) << 8 | Int(header[15]))
                    seen.put(header)
                }
                let names = try await NameServer.start(in: scenario, https: true)
                let client = try client(
                    scenario,
                    names,
                    """
                    [[tunnel]]
                    protocol = "tls"
                    name = "db"
                    local = "127.0.0.1:\(service.port)"
                    proxy_protocol = "v2"
                    """
                )
                _ = try await client.name("db.example.test")
                _ = try scenario.start(
                    "openssl",
                    try Program.openssl.required(),
                    ["s_client", "-connect", "127.0.0.1:\(names.https)", "-servername", "db.example.test"],
                    isKilled: true
                )
                let header = try await seen.next("the PROXY header")
                #expect(Array(header[16..<20]) == [127, 0, 0, 1])
                let name = Array("db.example.test".utf8)
                #expect(Array(header.suffix(name.count + 3)) == [0x02, 0, UInt8(name.count)] + name)
            }
        }
    }
}
