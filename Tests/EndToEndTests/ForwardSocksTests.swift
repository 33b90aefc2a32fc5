import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-D`: curl as the program that uses the local SOCKS port.
    @Suite(.serialized)
    struct ForwardSocksTests {
        static let page = "a page that the server alone reaches"

        @Test(
            "curl gets a page through -D with SOCKS 5, 4a and 4, and names reach the server",
            .needs(.curl),
            arguments: zip(
                ["--socks5-hostname", "--socks4a", "--socks5", "--socks4"],
                ["localhost", "localhost", "127.0.0.1", "127.0.0.1"]
            )
        )
        func versions(_ flag: String, _ host: String) async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: Self.page)
                let server = try await scenario.server(allowing: ["localhost:\(web.port)"])
                let port = try FreePorts.next()
                let client = try scenario.client(server.url, [], options: ["-D", "\(port)"])
                #expect(try await client.socks() == port)
                let curl = try await Self.curl("http://\(host):\(web.port)/", flag, port, in: scenario)
                #expect(curl.output.text == Self.page, "\(curl)")
                #expect(client.process.output.lines == ["forward socks5://127.0.0.1:\(port)"])
                _ = try await server.process.logLine {
                    $0.contains("stream ended") && $0.contains("\(host):\(web.port)")
                }
            }
        }

        @Test(
            "A name that only the server can look up is reached through -D",
            .needs(.curl, .unshare),
            .enabled(if: geteuid() == 0 && OwnAddress.ipv4 != nil, "needs root, and an address besides loopback"),
            arguments: ["--socks5-hostname", "--socks4a"]
        )
        func names(_ flag: String) async throws {
            try await Scenario.run { scenario in
                let address = try #require(OwnAddress.ipv4)
                let web = try TCPService(address: address) { try Self.answer($0) }
                let hosts = "\(scenario.directory)/hosts"
                try scenario.write("127.0.0.1 localhost\n\(address) inside.culvert-test\n", to: hosts)
                let process = try scenario.start(
                    "server",
                    Program.unshare.required(),
                    [
                        "-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"", hosts,
                        CulvertExecutable.path(), "server", "--listen", "127.0.0.1:0", "--token-file",
                        scenario.tokenFile, "--allow-connect", "inside.culvert-test:\(web.port)",
                    ]
                )
                let url = try await process.line { $0.hasPrefix("listening ") }.dropFirst("listening ".count)
                let client = try scenario.client(String(url), [], options: ["-D", "0"])
                let target = "http://inside.culvert-test:\(web.port)/"
                let curl = try await Self.curl(target, flag, client.socks(), in: scenario)
                #expect(curl.output.text == Self.page, "\(curl)")
            }
        }

        struct Failure: Sendable, CustomTestStringConvertible {
            let testDescription: String
            /// The destination's host.
            let host: String
            let isAllowed: Bool
            /// SOCKS 5's reply.
            let reply: Int
        }

        static let failures = [
            Failure(testDescription: "without a rule", host: "127.0.0.1", isAllowed: false, reply: 2),
            Failure(testDescription: "a name without a rule", host: "no-such-host.invalid", isAllowed: false, reply: 2),
            Failure(
                testDescription: "without a name's address",
                host: "no-such-host.invalid",
                isAllowed: true,
                reply: 4
            ),
            Failure(testDescription: "refused", host: "127.0.0.1", isAllowed: true, reply: 5),
        ]

        @Test("curl shows why a destination of SOCKS 5 is not reached", .needs(.curl), arguments: failures)
        func reply(_ failure: Failure) async throws {
            try await Scenario.run { scenario in
                let unused = try FreePorts.next()
                let server = try await scenario.server(
                    allowing: failure.isAllowed ? ["\(failure.host):\(unused)"] : ["127.0.0.1:9"]
                )
                let client = try scenario.client(server.url, [], options: ["-D", "0"])
                let port = try await client.socks()
                let fetch: @Sendable () async throws -> Void = {
                    let url = "http://\(failure.host):\(unused)/"
                    let curl = try await Self.curl(url, "--socks5-hostname", port, in: scenario, exit: 97)
                    #expect(curl.errors.text.contains("(\(failure.reply))"), "\(curl)")
                }
                try await fetch()
                let reason = failure.isAllowed ? "destination cannot be reached" : "destination refused"
                let line = try await server.process.logLine { $0.contains(reason) }
                #expect(line.contains("\(failure.host):\(unused)"))
                let processes = [server.process, client.process]
                let before = try await settledDescriptors(processes)
                for _ in 0..<3 { try await fetch() }
                try await eventually("no descriptor is leaked", found: { "\(before), \(descriptors(processes))" }) {
                    zip(descriptors(processes), before).allSatisfy { $0 <= $1 }
                }
            }
        }

        @Test(
            "curl shows that a destination of SOCKS 4 and 4a is not reached",
            .needs(.curl),
            arguments: ["--socks4", "--socks4a"]
        )
        func rejected(_ flag: String) async throws {
            try await Scenario.run { scenario in
                let unused = try FreePorts.next()
                let server = try await scenario.server(allowing: ["127.0.0.1:\(unused)"])
                let client = try scenario.client(server.url, [], options: ["-D", "0"])
                let curl = try await Self.curl(
                    "http://127.0.0.1:\(unused)/",
                    flag,
                    client.socks(),
                    in: scenario,
                    exit: 97
                )
                #expect(curl.errors.text.contains("(91)"), "\(curl)")
            }
        }

        private static func curl(
            _ url: String,
            _ flag: String,
            _ port: UInt16,
            in scenario: Scenario,
            exit code: Int32 = 0
        ) async throws -> ChildProcess {
            let curl = try scenario.start(
                "curl",
                Program.curl.required(),
                ["-sS", "--max-time", "60", flag, "127.0.0.1:\(port)", url]
            )
            #expect(try await curl.exitStatus(within: .seconds(60)) == .exited(code), "\(curl)")
            return curl
        }

        private static func answer(_ socket: TCPSocket) throws {
            _ = try socket.receive()
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: \(page.utf8.count)\r\nConnection: close\r\n\r\n\(page)")
            try socket.finishSending()
            _ = try socket.receiveToEnd()
        }
    }
}
