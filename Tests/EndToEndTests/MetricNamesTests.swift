import Foundation
import TestSupport
import Testing
import Tunnel

extension EndToEnd {
    /// The names of metrics: those that running roles have, those of the help texts, and those of the queries in Fixtures.
    @Suite(.serialized)
    struct MetricNamesTests {
        private func names(_ text: String) -> Set<String> {
            Set(text.matches(of: /#\ TYPE\ (?<name>[a-z_:]+)\s/).map { String($0.output.name) })
        }

        /// The names of our metrics in queries, without the suffixes of a histogram's parts.
        private func queried(_ text: String) -> Set<String> {
            Set(
                text.matches(of: /\b(?:culvert|process)_[a-z_]+\b/).map { match in
                    let name = String(match.output)
                    let suffix = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }
                    return String(name.dropLast(suffix?.count ?? 0))
                }
            )
        }

        @Test("Running roles have the metrics of the help texts, and Fixtures ask for no others", .needs(.openssl))
        func names() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let certificate = try await Certificate.make(in: scenario, for: "DNS:localhost,IP:127.0.0.1")
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("metrics_by_client = true\n", to: configuration)
                let server = try await scenario.server(options: [
                    "--config", configuration, "--tls-certificate", certificate.certificate, "--tls-key",
                    certificate.key,
                ])
                let client = try scenario.client(
                    "wss://localhost:\(server.port)",
                    ["0:127.0.0.1:\(echo.port)"],
                    options: ["--ca", certificate.authority, "--tls-certificate", certificate.certificate]
                        + ["--tls-key", certificate.key]
                )
                try await expectEcho(through: client.tunnel(to: echo.port))
                let sockets = ["server.sock", "client.sock"].map { "\(scenario.directory)/culvert/\($0)" }
                let texts = try sockets.map { try TCPSocket(unixPath: $0).request("GET", "/metrics").body }
                let registered = texts.map(names).reduce(Set()) { $0.union($1) }
                // ClusterStatusTests has those of a server in a cluster.
                let ofClusters = Set(MetricHelp.texts.keys.filter { $0.hasPrefix("culvert_cluster_") })
                #expect(Set(MetricHelp.texts.keys).symmetricDifference(registered) == ofClusters)

                let rules = try Fixture.text("prometheus/culvert.rules.yml")
                let dashboard = try Fixture.text("grafana/culvert.json")
                // Words of the texts around the queries.
                let words: Set = ["culvert_build_info"]
                #expect(queried(rules).subtracting(registered).isSubset(of: ofClusters))
                #expect(queried(dashboard).subtracting(registered).isEmpty)
                #expect(
                    registered.subtracting(queried(dashboard)).subtracting(words) == [
                        "culvert_ping_interval_seconds",
                        "culvert_last_reload_timestamp_seconds", "culvert_sessions_total",
                    ]
                )

                let metrics = texts[0].split(separator: "\n")
                let end = try #require(
                    metrics.first { $0.hasPrefix("culvert_certificate_end_timestamp_seconds{use=\"server\"} ") }
                )
                let seconds = try #require(Double(end.split(separator: " ")[1]))
                #expect(abs(seconds - Date().timeIntervalSince1970 - 2 * 86_400) < 3_600, "\(end)")
                for line in [
                    "culvert_build_info{role=\"server\",version=\"\(culvertVersion)\"} 1",
                    "culvert_last_reload_success 1",
                    "culvert_unpublished_tunnels 0", "culvert_services_down 0", "culvert_lost_log_lines_total 0",
                    "culvert_client_sessions{client=\"default\"} 1", "culvert_client_tunnels{client=\"default\"} 1",
                    "culvert_client_bytes_total{client=\"default\",direction=\"to_service\"} 4",
                ] {
                    #expect(metrics.contains { $0 == line }, "\(line)")
                }
                let start = metrics.first { $0.hasPrefix("process_start_time_seconds ") }?.split(separator: " ").last
                #expect(abs((start.flatMap { Double($0) } ?? 0) - Date().timeIntervalSince1970) < 60)
            }
        }

        @Test("A reload with a mistake, a tunnel that is refused and a service that is down are in the metrics")
        func trouble() async throws {
            try await Scenario.run { scenario in
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("allow_ports = \"20000-40000\"\n", to: configuration)
                let server = try await scenario.server(options: ["--config", configuration])
                let closed = try FreePorts.next()
                let client = try scenario.client(server.url, ["80:127.0.0.1:1", "0:127.0.0.1:\(closed)"])
                let port = try await client.tunnel(to: closed)
                try await onThread { _ = try? TCPSocket(port: port).drain() }
                try scenario.write("allow_ports = 7\n", to: configuration)
                server.process.signal(SIGHUP)
                for socket in ["server.sock", "client.sock"] {
                    try await eventually("\(socket) has them") {
                        let path = "\(scenario.directory)/culvert/\(socket)"
                        let text = try TCPSocket(unixPath: path).request("GET", "/metrics").body
                        return text.contains("\nculvert_unpublished_tunnels 1\n")
                            && text.contains("\nculvert_services_down 1\n")
                            && text.contains("\nculvert_last_reload_success \(socket.hasPrefix("s") ? 0 : 1)\n")
                    }
                }
            }
        }

        @Test("promtool accepts the alerts, and they fire", .enabled(if: TestRun.isHeavy), .needs(.promtool))
        func alerts() async throws {
            try await Scenario.run { scenario in
                let rules = try Fixture.url("prometheus/culvert.rules.yml").path
                try await scenario.run(.promtool, ["check", "rules", rules])
                let tests = try Fixture.url("prometheus/culvert.rules.test.yml").path
                try await scenario.run(.promtool, ["test", "rules", tests])
            }
        }
    }
}
