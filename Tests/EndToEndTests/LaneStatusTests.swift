import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What operators see of a session with several WebSockets, and what their commands do with it.
    @Suite(.serialized)
    struct LaneStatusTests {
        private struct Roles {
            let scenario: Scenario
            let server: CulvertServer
            let relay: FaultRelay
            let client: CulvertClient

            /// A server, and a client with three WebSockets through a relay.
            init(_ scenario: Scenario, to service: UInt16) async throws {
                self.scenario = scenario
                server = try await scenario.server()
                relay = try FaultRelay(to: server.port)
                client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    ["0:127.0.0.1:\(service)"],
                    options: ["--carriers", "3"]
                )
            }

            private func get(_ role: String, _ path: String) throws -> String {
                try TCPSocket(unixPath: "\(scenario.directory)/culvert/\(role).sock").request("GET", path).body
            }

            /// The session in the status of a role.
            func session(_ role: String) throws -> [String: Any] {
                let status = try JSONSerialization.jsonObject(with: Data(get(role, "/status").utf8)) as? [String: Any]
                let all = status?["sessions"] as? [[String: Any]]
                return try #require(all?.first ?? status?["session"] as? [String: Any])
            }

            func lanes(_ role: String) throws -> [[String: Any]] {
                try #require(try session(role)["lanes"] as? [[String: Any]])
            }

            /// Gauges and counters of carriers: now, waiting sessions, added, lost, resumes.
            func metrics(_ role: String) throws -> [Int] {
                let lines = try get(role, "/metrics").split(separator: "\n")
                let names = [
                    "carriers", "waiting_sessions", "added_carriers_total", "lost_carriers_total", "resumes_total",
                ]
                return names.map { name in
                    let line = lines.first { $0.hasPrefix("culvert_\(name) ") }
                    return line.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? -1
                }
            }

            func command(_ arguments: String..., role: String) async throws -> String {
                let socket = "unix:\(scenario.directory)/culvert/\(role).sock"
                let process = try scenario.culvert(arguments[0], arguments + ["--admin", socket])
                #expect(try await process.exitStatus() == .exited(0), "\(process)")
                return process.output.text
            }
        }

        private static let roles = ["server", "client"]

        @Test("Each WebSocket of a session is in the status of both roles, and in their metrics")
        func lanes() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let roles = try await Roles(scenario, to: echo.port)
                try await expectEcho(through: try await roles.client.tunnel(to: echo.port))
                for role in Self.roles {
                    try await eventually("the \(role) has three lanes, and their round trips") {
                        let lanes = try roles.lanes(role)
                        return lanes.count == 3 && lanes.allSatisfy { $0["round_trip_ms"] is Double }
                    }
                    let lanes = try roles.lanes(role)
                    #expect(lanes.map { $0["number"] as? Int } == [0, 1, 2])
                    #expect(lanes.allSatisfy { $0["since"] is String && $0["unacknowledged_bytes"] is Int })
                    #expect(lanes.allSatisfy { $0["retransmitted_segments"] as? Int == 0 })
                    #expect(lanes.contains { ($0["bytes"] as? Int ?? 0) > 8 })
                    #expect(try roles.metrics(role) == [3, 0, 2, 0, 0], "\(role)")
                    #expect(try roles.session(role)["resumes"] as? Int == 0)
                    let page = try await roles.command("status", role: role)
                    #expect(page.contains("LANE  WEBSOCKET"), "\(page)")
                }
                #expect(
                    try roles.lanes("server").allSatisfy { ($0["peer"] as? String)?.hasPrefix("127.0.0.1:") == true }
                )
                try await eventually("the reasons are there") {
                    let reasons = try roles.lanes("client").map { $0["reason"] as? String }
                    return reasons == [nil] + Array(repeating: "the configuration asks for 3 WebSockets", count: 2)
                }
            }
        }

        @Test(
            "N11 culvert renew replaces all WebSockets of a session, and none of them counts as lost",
            arguments: roles
        )
        func renewal(by role: String) async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let roles = try await Roles(scenario, to: echo.port)
                let port = try await roles.client.tunnel(to: echo.port)
                try await eventually("there are three lanes") { try roles.lanes("server").count == 3 }
                let interactive = InteractiveVisitor(through: port)
                for round in 1...3 {
                    _ = try await roles.command("renew", role: role)
                    try await eventually("all WebSockets are others") {
                        roles.relay.accepted == 3 + 3 * round && roles.relay.connections == 3
                    }
                }
                let slowest = try await interactive.finish()
                #expect(slowest < .seconds(1), "an echo took \(slowest)")
                for role in Self.roles {
                    #expect(try roles.lanes(role).map { $0["number"] as? Int } == [0, 1, 2], "\(role)")
                    #expect(try roles.metrics(role) == [3, 0, 2, 0, 3], "\(role)")
                    #expect(try roles.session(role)["resumes"] as? Int == 3)
                }
                for process in [roles.client.process, roles.server.process] {
                    #expect(!process.errors.text.contains("carrier lost"), "\(process)")
                }
            }
        }

        @Test("culvert kick ends a session with all its WebSockets")
        func kick() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let roles = try await Roles(scenario, to: echo.port)
                _ = try await roles.client.tunnel(to: echo.port)
                try await eventually("there are three lanes") { try roles.lanes("server").count == 3 }
                _ = try await roles.command("kick", "default", role: "server")
                try await eventually("all WebSockets are closed") { roles.relay.connections == 0 }
                _ = try await roles.client.process.logLine { $0.contains("kicked by the operator") }
            }
        }
    }
}
