import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-L …/udp`: flows of datagrams.
    @Suite(.serialized)
    struct ForwardDatagramTests {
        @Test(
            "Datagrams from none to 65,507 bytes arrive whole both ways, and replies come from the port that was asked"
        )
        func sizes() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let (_, port) = try await Self.forward(to: service.port, in: scenario)
                try await onThread {
                    let program = try UDPSocket()
                    for size in [0, 1, 1_200, 65_507] {
                        let (question, answer) = (randomBytes(size), randomBytes(65_507 - size))
                        try program.send(question, to: port)
                        let asked = try service.receive()
                        try require(asked.bytes == question, "\(asked.bytes.count) bytes for \(size)")
                        try service.send(answer, to: asked.port)
                        let answered = try program.receive()
                        try require(answered.bytes == answer, "\(answered.bytes.count) bytes for \(answer.count)")
                        try require(answered.port == port, "the answer comes from \(answered.port)")
                    }
                }
            }
        }

        @Test("Each sender has a flow of its own, whose replies reach this sender only")
        func senders() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let (client, port) = try await Self.forward(to: service.port, in: scenario)
                try await onThread {
                    let programs = try (0..<8).map { _ in try UDPSocket() }
                    for _ in 0..<3 {
                        for (index, program) in programs.enumerated() { try program.send([UInt8(index)], to: port) }
                        var sources: Set<UInt16> = []
                        for _ in programs {
                            let (bytes, _, source) = try service.receive()
                            sources.insert(source)
                            try service.send(bytes + bytes, to: source)
                        }
                        try require(sources.count == 8, "\(sources.count) flows")
                        for (index, program) in programs.enumerated() {
                            try require(try program.receive().bytes == [UInt8(index), UInt8(index)], "reply \(index)")
                        }
                    }
                }
                await client.end()
                let ended = client.errors.lines.filter { $0.contains("stream ended") }
                #expect(ended.count == 8)
                for line in ended { expect(line, says: "kind=udp", "from_socket=3", "to_socket=6") }
            }
        }

        @Test("A destination without a program ends the flow as refused; the next datagram begins another one")
        func refused() async throws {
            try await Scenario.run { scenario in
                let destination = try FreePorts.next()
                let (client, port) = try await Self.forward(to: destination, in: scenario)
                let program = try UDPSocket()
                try program.send([1], to: port)
                let line = try await client.logLine { $0.contains("stream ended") }
                expect(line, says: "kind=udp", "service refused the connection")
                let service = try UDPSocket(port: destination)
                try program.send([2], to: port)
                #expect(try await onThread { try service.receive().bytes } == [2])
            }
        }

        @Test("On a port of all addresses, each reply comes from the address that was asked")
        func allAddresses() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let (_, port) = try await Self.forward(to: service.port, listen: "0.0.0.0:0", in: scenario)
                try await onThread {
                    let program = try UDPSocket()
                    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"] {
                        try program.send(Array(address.utf8), to: port, address: address)
                        let (bytes, _, source) = try service.receive()
                        try service.send(bytes, to: source)
                        let answer = try program.receive()
                        let isFromAsked = answer.address == address && answer.port == port
                        try require(isFromAsked && answer.bytes == bytes, "\(answer.address) answers for \(address)")
                    }
                }
            }
        }

        @Test("Beyond flows_per_port the oldest flow without an answer gives way, and one with an answer stays")
        func flowLimit() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let (client, port) = try await Self.forward(
                    to: service.port,
                    limits: "flows_per_port = 2",
                    in: scenario
                )
                try await onThread {
                    let programs = try (0..<3).map { _ in try UDPSocket() }
                    try programs[0].send([0], to: port)
                    let answered = try service.receive().port
                    try service.send([0], to: answered)
                    _ = try programs[0].receive()
                    for program in programs[1...] {
                        try program.send([1], to: port)
                        _ = try service.receive()
                    }
                    try programs[0].send([2], to: port)
                    try require(try service.receive().port == answered, "the answered flow has ended")
                }
                await client.end()
                let ended = client.errors.lines.filter { $0.contains("stream ended") }
                #expect(ended.count == 3 && ended.count { $0.contains("silent for too long") } == 1, "\(ended)")
            }
        }

        @Test("Without a session datagrams are dropped, and the metrics count them")
        func withoutSession() async throws {
            try await Scenario.run { scenario in
                let (unused, admin) = (try FreePorts.next(), try FreePorts.next())
                let client = try scenario.client(
                    "ws://127.0.0.1:\(unused)",
                    [],
                    options: ["-L", "0:127.0.0.1:\(unused)/udp", "--admin", "127.0.0.1:\(admin)"]
                )
                let port = try await Self.localPort(of: client.process, to: "127.0.0.1:\(unused)")
                for _ in 0..<3 { try UDPSocket().send([1], to: port) }
                let counter = "culvert_dropped_datagrams_total{reason=\"flows\"} 3\n"
                try await eventually("three drops are counted") {
                    try TCPSocket(port: admin).request("GET", "/metrics").body.contains(counter)
                }
            }
        }

        @Test("A flow ends after flow_idle", .enabled(if: TestRun.isSlow, "set CULVERT_SLOW=1"))
        func silence() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let (client, port) = try await Self.forward(
                    to: service.port,
                    limits: "flow_idle = \"1 s\"",
                    in: scenario
                )
                try UDPSocket().send([1], to: port)
                expect(try await client.logLine { $0.contains("stream ended") }, says: "silent for too long")
            }
        }

        @Test("A rule for TCP does not allow UDP, and the log says so at the server")
        func denied() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let destination = "127.0.0.1:\(service.port)"
                let server = try await scenario.server(allowing: ["\(destination)/tcp"])
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(destination)/udp"])
                let port = try await Self.port(of: client.process, to: destination)
                try UDPSocket().send([1], to: port)
                expect(
                    try await server.process.logLine { $0.contains("destination refused") },
                    says: destination,
                    "allow_connect does not list it"
                )
                expect(try await client.process.logLine { $0.contains("stream ended") }, says: "not allowed")
            }
        }

        @Test("A flow continues after its carrier is cut, from the same port at the destination")
        func carrierCut() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let destination = "127.0.0.1:\(service.port)"
                let server = try await scenario.server(allowing: [destination])
                let relay = try FaultRelay(to: server.port)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(relay.port)",
                    [],
                    options: ["-L", "0:\(destination)/udp"]
                )
                let port = try await Self.port(of: client.process, to: destination)
                let program = try UDPSocket()
                try program.send([1], to: port)
                let before = try await onThread { try service.receive().port }
                relay.cut(.reset)
                _ = try await client.process.logLine { $0.contains("session resumed") }
                _ = try await server.process.logLine { $0.contains("session resumed") }
                try program.send([2], to: port)
                let after = try await onThread { try service.receive() }
                #expect(after.port == before && after.bytes == [2])
                try service.send([3], to: after.port)
                #expect(try await onThread { try program.receive().bytes } == [3])
            }
        }

        @Test(
            "dig asks dnsmasq through -L, and 10,000 lookups at 500 a second are all answered",
            .needs(.dig, .dnsmasq)
        )
        func lookups() async throws {
            try await Scenario.run { scenario in
                let resolver = try FreePorts.next()
                let dnsmasq = try scenario.start(
                    "dnsmasq",
                    Program.dnsmasq.required(),
                    [
                        "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=\(resolver)",
                        "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file=",
                        "--user=", "--address=/culvert.test/192.0.2.7",
                    ]
                )
                _ = try await dnsmasq.logLine { $0.contains("started") }
                let (_, port) = try await Self.forward(to: resolver, in: scenario)
                let answer = try await scenario.run(
                    .dig,
                    ["+short", "+tries=1", "+time=20", "@127.0.0.1", "-p", "\(port)", "www.culvert.test"]
                )
                #expect(answer.trimmingCharacters(in: .whitespacesAndNewlines) == "192.0.2.7")
                guard TestRun.isSlow else { return }
                try await onThread {
                    let program = try UDPSocket()
                    let start = ContinuousClock.now
                    for number in 0..<10_000 {
                        try program.send(Self.query(UInt16(number)), to: port)
                        let reply = try program.receive().bytes
                        try require(reply.prefix(2) == Self.query(UInt16(number)).prefix(2), "reply \(number)")
                        Thread.sleep(until: Date(timeIntervalSinceNow: Self.pause(number, since: start)))
                    }
                }
            }
        }

        @Test(
            "100,000 senders leave both processes bounded, and their TCP streams intact",
            .enabled(if: TestRun.isSlow, "set CULVERT_SLOW=1")
        )
        func manySenders() async throws {
            try await Scenario.run { scenario in
                let (service, echo) = (try UDPSocket(), try TCPService.echo())
                let (datagrams, bytes) = ("127.0.0.1:\(service.port)", "127.0.0.1:\(echo.port)")
                let server = try await scenario.server(allowing: [datagrams, bytes])
                let client = try scenario.client(
                    server.url,
                    [],
                    options: ["-L", "0:\(datagrams)/udp", "-L", "0:\(bytes)"]
                )
                let port = try await Self.port(of: client.process, to: datagrams)
                let stream = try TCPSocket(port: await client.forward(to: bytes))
                try stream.requireEcho("before")
                try await onThread {
                    for number in 0..<100_000 {
                        let address = "127.\(1 + number / 62_500).\(number / 250 % 250).\(1 + number % 250)"
                        try UDPSocket(address: address).send([1], to: port)
                    }
                }
                try stream.requireEcho("after")
                for process in [server.process, client.process] {
                    let peak = try process.peakResidentBytes
                    #expect(peak < 400 << 20, "\(process): \(peak >> 20) MiB")
                    #expect(try process.descriptorCount < 11_000)
                }
            }
        }

        /// Starts a server and a client with one UDP port, which leads to a port of loopback.
        private static func forward(
            to destination: UInt16,
            listen: String = "0",
            limits: String = "",
            in scenario: Scenario
        ) async throws -> (client: ChildProcess, port: UInt16) {
            let destination = "127.0.0.1:\(destination)"
            let server = try await scenario.server(allowing: [destination])
            let file = "\(scenario.directory)/client.toml"
            try scenario.write("[limits]\n\(limits)\n", to: file)
            let options = ["--config", file, "-L", "\(listen):\(destination)/udp"]
            let client = try scenario.client(server.url, [], options: options)
            return (client.process, try await port(of: client.process, to: destination))
        }

        /// Waits until a UDP port listens and the session is open, since datagrams do not wait.
        private static func port(of client: ChildProcess, to destination: String) async throws -> UInt16 {
            let port = try await localPort(of: client, to: destination)
            _ = try await client.logLine { $0.contains("session opened") }
            return port
        }

        private static func localPort(of client: ChildProcess, to destination: String) async throws -> UInt16 {
            let line = try await client.line {
                $0.hasPrefix("forward udp://") && $0.hasSuffix(" -> \(destination)")
            }
            let address = line.split(separator: " ")[1]
            return try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
        }

        /// A DNS query for `www.culvert.test`, type A (RFC 1035, section 4.1).
        private static func query(_ number: UInt16) -> [UInt8] {
            let labels = ["www", "culvert", "test"].flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
            return [UInt8(number >> 8), UInt8(number & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + labels + [0, 0, 1, 0, 1]
        }

        /// Seconds until the lookup after `number` is due, at 500 a second.
        private static func pause(_ number: Int, since start: ContinuousClock.Instant) -> Double {
            let due = start + .milliseconds(2 * (number + 1))
            let rest = due - ContinuousClock.now
            return max(0, Double(rest.components.attoseconds) / 1e18 + Double(rest.components.seconds))
        }
    }
}
