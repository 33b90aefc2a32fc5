import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Groups of clients at one place, and health checks.
    @Suite(.serialized)
    struct NameGroupTests {
        /// A client with one tunnel in a group.
        private func member(
            _ scenario: Scenario,
            _ names: NameServer,
            _ name: String,
            _ keys: String,
            key: String = "0123456789abcdef"
        ) throws -> CulvertClient {
            let keyFile = "\(scenario.directory)/\(name).key"
            try scenario.write("\(key)\n", to: keyFile)
            let file = "\(scenario.directory)/\(name).toml"
            try scenario.write(
                "[[tunnel]]\n\(keys)\ngroup = \"blue\"\ngroup_key_file = \"\(keyFile)\"\n",
                to: file
            )
            return try scenario.client(names.server.url, [], options: ["--config", file, "--name", name])
        }

        @Test("Members share a name, each gets visitors, and a killed one fails only what is in flight")
        func name() async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
                let names = try await NameServer.start(in: scenario)
                func keys(_ port: UInt16) -> String {
                    "protocol = \"http\"\nname = \"app\"\nlocal = \"127.0.0.1:\(port)\""
                }
                let first = try member(scenario, names, "first", keys(one.port))
                let second = try member(scenario, names, "second", keys(two.port))
                _ = try await first.name("app.example.test")
                _ = try await second.name("app.example.test")
                func visits(_ count: Int) async throws -> [String] {
                    try await onThread {
                        try (0..<count).map { _ in
                            let answer = try names.visit().get("/", host: "app.example.test")
                            return answer.status == 200 ? String(answer.body.prefix(3)) : "\(answer.status)"
                        }
                    }
                }
                #expect(Set(try await visits(40)) == ["one", "two"])
                let stranger = try member(scenario, names, "third", keys(one.port), key: "another key of a group")
                _ = try await stranger.process.logLine { $0.contains("is held by") }
                await first.process.kill()
                _ = try await names.server.process.logLine { $0.contains("carrier lost") }
                #expect(Set(try await visits(20)) == ["two"])
            }
        }

        @Test("Members share a port, and a sticky group sends an address to the same member")
        func port() async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
                let names = try await NameServer.start(in: scenario)
                let ports = [try FreePorts.next(), try FreePorts.next()]
                func keys(_ port: UInt16, _ service: TCPService) -> String {
                    "remote = \"\(port)\"\nlocal = \"127.0.0.1:\(service.port)\""
                }
                func visits(_ port: UInt16) async throws -> Set<String> {
                    try await onThread {
                        Set(
                            try (0..<30).map { _ in
                                let visitor = HTTPConnection(try TCPSocket(port: port, timeout: .seconds(20)))
                                return String(try visitor.get("/", host: "x").body.prefix(3))
                            }
                        )
                    }
                }
                for (name, service) in [("first", one), ("second", two)] {
                    let client = try member(scenario, names, name, keys(ports[0], service))
                    #expect(try await client.tunnel(to: service.port) == ports[0])
                }
                #expect(try await visits(ports[0]) == ["one", "two"])
                var clients: [CulvertClient] = []
                for (name, service) in [("third", one), ("fourth", two)] {
                    let client = try member(scenario, names, name, keys(ports[1], service) + "\ngroup_sticky = true")
                    #expect(try await client.tunnel(to: service.port) == ports[1])
                    clients.append(client)
                }
                #expect(try await visits(ports[1]).count == 1)
                // The last member gives the port up.
                for client in clients { await client.process.end() }
                _ = try await eventually("the port is free") { (try? TCPSocket(port: ports[1])) == nil ? true : nil }
            }
        }

        @Test("Without a healthy member a name answers 503 and a port resets, and a healthy one serves")
        func health() async throws {
            try await Scenario.run { scenario in
                let well = try TCPService.http("well")
                let gone = try TCPService.http("gone")
                gone.stop()
                let names = try await NameServer.start(in: scenario)
                let port = try FreePorts.next()
                let file = "\(scenario.directory)/client.toml"
                try scenario.write(
                    """
                    [[tunnel]]
                    protocol = "http"
                    name = "well"
                    local = "127.0.0.1:\(well.port)"
                    health = "http:/status"
                    [[tunnel]]
                    protocol = "http"
                    name = "unwell"
                    local = "127.0.0.1:\(well.port)"
                    health = "http:/garbage"
                    [[tunnel]]
                    remote = "\(port)"
                    local = "127.0.0.1:\(gone.port)"
                    health = "tcp"
                    """,
                    to: file
                )
                let client = try scenario.client(names.server.url, [], options: ["--config", file])
                _ = try await client.process.logLine { $0.contains("health check: service is up") }
                _ = try await client.process.logLine(skip: 1) { $0.contains("health check: service is down") }
                _ = try await eventually("the name is served") {
                    try names.visit().get("/", host: "well.example.test").status == 200 ? true : nil
                }
                try await onThread {
                    let answer = try names.visit().get("/", host: "unwell.example.test")
                    #expect(answer.status == 503 && answer.head.contains("Retry-After: "))
                    #expect(try TCPSocket(port: port, timeout: .seconds(20)).drain().ending == .reset)
                }
            }
        }
    }
}
