import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-L …/udp` and `-R …/udp`: flows of datagrams.
    @Suite(.serialized)
    struct ForwardDatagramTests {
        @Test(
            "Datagrams from none to 65,507 bytes arrive whole both ways, and replies come from the port that was asked",
            arguments: DatagramDirection.allCases
        )
        func sizes(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let port = try await scenario.datagrams(to: service.port, direction).port
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

        @Test(
            "Each sender has a flow of its own, whose replies reach this sender only",
            arguments: DatagramDirection.allCases
        )
        func senders(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let path = try await scenario.datagrams(to: service.port, direction)
                let port = path.port
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
                await path.client.process.end()
                for process in [path.ingress, path.egress] {
                    try await eventually("all flows have ended") {
                        process.errors.lines.count { $0.contains("stream ended") } == 8
                    }
                }
                let ended = path.ingress.errors.lines.filter { $0.contains("stream ended") }
                for line in ended { expect(line, says: "kind=udp", "to_service=3", "to_visitor=6") }
            }
        }

        @Test(
            "A destination without a program ends the flow as refused; the next datagram begins another one",
            arguments: DatagramDirection.allCases
        )
        func refused(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let destination = try FreePorts.next()
                let path = try await scenario.datagrams(to: destination, direction)
                let port = path.port
                let program = try UDPSocket()
                try program.send([1], to: port)
                let line = try await path.ingress.logLine { $0.contains("stream ended") }
                expect(line, says: "kind=udp", "service refused the connection")
                let service = try UDPSocket(port: destination)
                try program.send([2], to: port)
                #expect(try await onThread { try service.receive().bytes } == [2])
            }
        }

        @Test(
            "S11 On a port of all addresses, each reply comes from the address that was asked, and no other program joins it"
        )
        func allAddresses() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let port = try await scenario.datagrams(to: service.port, listen: "0.0.0.0:0").port
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
                    for address in ["0.0.0.0", "127.0.0.1", "127.0.0.2", "127.0.0.9"] {
                        let other = try? UDPSocket(address: address, port: port, shares: true)
                        try require(other == nil, "another program has \(address)")
                    }
                }
            }
        }

        @Test(
            "Beyond flows_per_port the oldest flow without an answer gives way, and one with an answer stays",
            arguments: DatagramDirection.allCases
        )
        func flowLimit(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let path = try await scenario.datagrams(to: service.port, direction, limits: "flows_per_port = 2")
                let port = path.port
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
                await path.client.process.end()
                try await eventually("all flows have ended") {
                    path.ingress.errors.lines.count { $0.contains("stream ended") } == 3
                }
                #expect(path.ingress.errors.lines.count { $0.contains("silent for too long") } == 1)
            }
        }

        @Test("Beyond flows_per_port, answered flows that are not a conversation give way to a new sender")
        func answeredFlows() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let path = try await scenario.datagrams(to: service.port, .remote, limits: "flows_per_port = 2")
                try await onThread {
                    for number in 0..<5 {
                        let program = try UDPSocket()
                        try program.send([UInt8(number)], to: path.port)
                        let asked = try service.receive()
                        try service.send(asked.bytes, to: asked.port)
                        try require(try program.receive().bytes == [UInt8(number)], "sender \(number)")
                    }
                }
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
                let port = try await client.datagramPort(to: "127.0.0.1:\(unused)", hasSession: false)
                for _ in 0..<3 { try UDPSocket().send([1], to: port) }
                let counter = "culvert_dropped_datagrams_total{reason=\"flows\"} 3\n"
                try await eventually("three drops are counted") {
                    try TCPSocket(port: admin).request("GET", "/metrics").body.contains(counter)
                }
            }
        }

        @Test(
            "A flow ends after flow_idle",
            .enabled(if: TestRun.isSlow, "set CULVERT_SLOW=1"),
            arguments: DatagramDirection.allCases
        )
        func silence(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let path = try await scenario.datagrams(to: service.port, direction, limits: "flow_idle = \"1 s\"")
                try UDPSocket().send([1], to: path.port)
                expect(try await path.ingress.logLine { $0.contains("stream ended") }, says: "silent for too long")
            }
        }

        @Test("A rule for TCP does not allow UDP, and the log says so at the server")
        func denied() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let destination = "127.0.0.1:\(service.port)"
                let server = try await scenario.server(allowing: ["\(destination)/tcp"])
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(destination)/udp"])
                let port = try await client.datagramPort(to: destination)
                try UDPSocket().send([1], to: port)
                expect(
                    try await server.process.logLine { $0.contains("destination refused") },
                    says: destination,
                    "allow_connect does not list it"
                )
                expect(try await client.process.logLine { $0.contains("stream ended") }, says: "not allowed")
                let warning = try await client.process.logLine { $0.contains("does not let this client connect") }
                expect(warning, says: destination, "allow_connect")
            }
        }

        @Test(
            "A flow continues after its carrier is cut, from the same port at the destination",
            arguments: DatagramDirection.allCases
        )
        func carrierCut(_ direction: DatagramDirection) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let path = try await scenario.datagrams(to: service.port, direction)
                let port = path.port
                let program = try UDPSocket()
                try program.send([1], to: port)
                let before = try await onThread { try service.receive().port }
                path.relay.cut(.reset)
                for process in [path.ingress, path.egress] {
                    _ = try await process.logLine { $0.contains("session resumed") }
                }
                try program.send([2], to: port)
                let after = try await onThread { try service.receive() }
                #expect(after.port == before && after.bytes == [2])
                try service.send([3], to: after.port)
                #expect(try await onThread { try program.receive().bytes } == [3])
            }
        }

        @Test("A sender whose block is denied gets no flow, and takes nothing of what others need")
        func deniedSenders() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let file = "\(scenario.directory)/server.toml"
                let limits = "[limits]\nflows_per_second = 10\nflows_per_port = 1\n"
                try scenario.write("visitor_deny = [\"127.0.0.2\"]\n\(limits)", to: file)
                let server = try await scenario.server(options: ["--config", file])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)/udp"])
                let port = try await client.datagramPort(to: "127.0.0.1:\(service.port)")
                let program = try UDPSocket()
                try program.send([1], to: port)
                let asked = try await onThread { try service.receive() }
                for _ in 0..<50 { try UDPSocket(address: "127.0.0.2").send([2], to: port) }
                _ = try await server.process.logLine { $0.contains("visitor refused") && $0.contains("127.0.0.2") }
                try service.send([3], to: asked.port)
                #expect(try await onThread { try program.receive().bytes } == [3], "its flow lives")
                try UDPSocket().send([4], to: port)
                #expect(try await onThread { try service.receive().bytes } == [4])
            }
        }

        @Test("S9 At visitor_connections an older flow gives way to a new sender")
        func visitorConnections() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("visitor_connections = 2\n", to: file)
                let server = try await scenario.server(options: ["--config", file])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)/udp"])
                let port = try await client.datagramPort(to: "127.0.0.1:\(service.port)")
                try await onThread {
                    for number in UInt8(0)..<20 {
                        let program = try UDPSocket()
                        try program.send([number], to: port)
                        let asked = try service.receive()
                        guard number.isMultiple(of: 3) else { continue }
                        try service.send(asked.bytes, to: asked.port)
                        try require(try program.receive().bytes == [number], "sender \(number)")
                    }
                }
                await client.process.end()
                let ended = try await server.process.logLine(skip: 17) { $0.contains("stream ended") }
                expect(ended, says: "kind=udp")
            }
        }

        @Test("A UDP port that another program has is refused, and asked for again")
        func portInUse() async throws {
            try await Scenario.run { scenario in
                let other = try UDPSocket()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["\(other.port):127.0.0.1:9/udp"])
                let line = try await client.process.logLine { $0.contains("could not bind a port") }
                expect(line, says: "UDP port \(other.port) of 127.0.0.1 is in use by another program on the server")
            }
        }

        @Test("One port number serves TCP and UDP at a time, and status names both")
        func bothTransports() async throws {
            try await Scenario.run { scenario in
                let (service, echo) = (try UDPSocket(), try TCPService.echo())
                let port = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "unix:\(scenario.directory)/admin.sock"])
                let client = try scenario.client(
                    server.url,
                    ["\(port):127.0.0.1:\(service.port)/udp", "\(port):127.0.0.1:\(echo.port)"]
                )
                #expect(try await client.datagramPort(to: "127.0.0.1:\(service.port)") == port)
                #expect(try await client.tunnel(to: echo.port) == port)
                try await expectEcho(through: port)
                try UDPSocket().send([7], to: port)
                #expect(try await onThread { try service.receive().bytes } == [7])
                let status = try scenario.culvert(
                    "status",
                    ["status", "--admin", "unix:\(scenario.directory)/admin.sock"]
                )
                #expect(try await status.exitStatus() == .exited(0))
                let lines = status.output.text.split(separator: "\n")
                #expect(lines.contains { $0.contains(" udp://127.0.0.1:\(port) ") }, "\(status.output.text)")
                #expect(lines.contains { $0.contains(" 127.0.0.1:\(port) ") }, "\(status.output.text)")
            }
        }
    }
}
