import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The dashboard of running roles.
    @Suite(.serialized)
    struct DashboardEndToEndTests {
        private static let ours = "X-Culvert-Dashboard: 1"

        /// A running dashboard.
        private struct Dashboard {
            let process: ChildProcess
            let port: UInt16
            let secret: String

            init(_ scenario: Scenario, _ options: [String] = []) async throws {
                process = try scenario.culvert("dashboard", ["dashboard"] + options)
                let line = try await process.line { $0.hasPrefix("dashboard http://127.0.0.1:") }
                let address = line.dropFirst("dashboard http://127.0.0.1:".count).components(separatedBy: "/#")
                port = try #require(UInt16(address[0]))
                secret = try #require(address.count == 2 ? address[1] : nil)
                #expect(secret.wholeMatch(of: /[0-9a-f]{32}/) != nil, "\(secret)")
            }

            func request(_ method: String, _ target: String, _ fields: [String] = []) throws -> HTTPAnswer {
                try TCPSocket(port: port).request(method, target, host: "127.0.0.1:\(port)", fields: fields)
            }

            /// The Cookie field that the secret of the address brings.
            func login() throws -> String {
                let answer = try request("POST", "/login", [ours, "X-Culvert-Secret: \(secret)"])
                let cookie = try #require(answer.head.firstMatch(of: /Set-Cookie: ([^;]+);/)?.output.1)
                return "Cookie: \(cookie)"
            }
        }

        @Test("The page of a server shows its status, kicks a client, and ends with the role behind it")
        func server() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--admin", "none", "--encryption", "required"]
                )
                _ = try await client.tunnel(to: echo.port)
                let opened = try await client.process.logLine { $0.contains("session opened") }
                let seal = try #require(opened.firstMatch(of: /sealed=([0-9A-Z-]+)/)?.output.1)
                let dashboard = try await Dashboard(scenario)
                let page = try dashboard.request("GET", "/")
                #expect(page.status == 200 && page.body.contains("<title>culvert</title>"))
                #expect(try dashboard.request("GET", "/api/status").status == 403)
                let cookie = try dashboard.login()
                #expect(
                    try dashboard.request("POST", "/login", [Self.ours, "X-Culvert-Secret: \(dashboard.secret)"]).status
                        == 403
                )

                let status = try dashboard.request("GET", "/api/status?session=1", [cookie])
                #expect(status.status == 200 && status.body.contains("\"role\" : \"server\""))
                #expect(status.body.contains("\"name\" : \"default\""))
                #expect(status.body.contains("\"sealed_with\" : \"\(seal)\""), "\(status)")
                #expect(try dashboard.request("POST", "/api/kick?name=default", [cookie]).status == 403)
                let kick = try dashboard.request("POST", "/api/kick?name=default", [cookie, Self.ours])
                #expect(kick.body.contains("\"kicked\" : 1"), "\(kick)")
                _ = try await client.process.logLine { $0.contains("kicked by the operator") }

                await server.process.end()
                let gone = try dashboard.request("GET", "/api/status", [cookie])
                #expect(gone.status == 502 && gone.body.contains("nothing answers at unix:"), "\(gone)")
            }
        }

        @Test("Without a role to show it exits with 69, and beside other machines' addresses with 64")
        func refusals() async throws {
            try await Scenario.run { scenario in
                let none = try scenario.culvert("none", ["dashboard"])
                #expect(try await none.exitStatus() == .exited(69))
                let open = try scenario.culvert("open", ["dashboard", "--listen", "0.0.0.0:0"])
                #expect(try await open.exitStatus() == .exited(64))
                #expect(open.errors.text.contains("ssh -L"), "\(open)")
            }
        }

        @Test(
            "In Chromium it does what an operator needs, with a thousand clients too",
            .enabled(if: TestRun.isHeavy),
            .needs(.chromium, .python)
        )
        func browser() async throws {
            try await Scenario.run { scenario in
                let check = try Fixture.url("dashboard/check.py").path
                let arguments = [check, try CulvertExecutable.path(), scenario.directory]
                let output = try await scenario.run(.python, arguments, within: .seconds(180))
                #expect(!output.contains("FAIL"))
            }
        }
    }
}
