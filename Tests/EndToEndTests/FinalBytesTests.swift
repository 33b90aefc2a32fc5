import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Bytes sent directly before a reset arrive before it, as on a plain TCP connection.
    @Suite(.serialized)
    struct FinalBytesTests {
        private static let rounds = 40

        @Test("A visitor's bytes reach the service before the reset that follows them")
        func visitorResetsAfterSending() async throws {
            try await Scenario.run { scenario in
                let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in received.put(try socket.drain()) }
                let (server, client, port) = try await scenario.tunnel(to: service)
                let before = try await settledDescriptors([server.process, client.process])
                for round in 0..<Self.rounds {
                    let sent = randomBytes(round.isMultiple(of: 4) ? 30_000 : 500)
                    try await onThread {
                        let visitor = try TCPSocket(port: port)
                        try visitor.send(sent)
                        visitor.abort()
                    }
                    let (bytes, ending) = try await received.next("the service's connection ends")
                    #expect(bytes == sent, "round \(round): \(bytes.count) of \(sent.count) bytes")
                    #expect(ending == .reset, "round \(round)")
                }
                try await eventually("no descriptor is leaked") {
                    zip(descriptors([server.process, client.process]), before).allSatisfy { $0 <= $1 }
                }
            }
        }

        @Test("A service's answer to an unread upload reaches the visitor before the reset")
        func earlyAnswer() async throws {
            let answer = Array("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 100)
                    try socket.send(answer)
                    socket.close()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThreads(Self.rounds, width: 4) { round in
                    let visitor = try TCPSocket(port: port)
                    // The reset arrives while the visitor sends.
                    try? visitor.send([UInt8](repeating: 7, count: 20_000_000))
                    let bytes = (try? visitor.drain().bytes) ?? []
                    guard bytes == answer else {
                        throw ScenarioFailure(description: "round \(round): \(bytes.count) of \(answer.count) bytes")
                    }
                }
            }
        }

        @Test("The answer of a service that closes with unread bytes reaches a visitor, even one that reads late")
        func fullServer() async throws {
            let line = Array("Exceeded MaxStartups\r\n".utf8)
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    // Closing with unread bytes causes a reset, so the bytes must have arrived.
                    try socket.waitForBytes()
                    try socket.send(line)
                    socket.close()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThreads(Self.rounds, width: 8) { round in
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("SSH-2.0-test\r\n")
                    if round.isMultiple(of: 5) { Thread.sleep(forTimeInterval: 0.1) }
                    let bytes = try visitor.drain().bytes
                    guard bytes == line else { throw ScenarioFailure(description: "round \(round): \(bytes)") }
                }
            }
        }

        @Test("The bytes of a service that resets directly after accepting reach the visitor, also with a PROXY header")
        func serviceResetsAtOnce() async throws {
            let line = Array("Exceeded MaxStartups\r\n".utf8)
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    try socket.send(line)
                    socket.abort()
                }
                let server = try await scenario.server()
                let file = "\(scenario.directory)/client.toml"
                let tunnels = ["", "proxy_protocol = \"v1\"\n"]
                    .map { "[[tunnel]]\nremote = \"0\"\nlocal = \"127.0.0.1:\(service.port)\"\n\($0)" }
                try scenario.write(tunnels.joined(), to: file)
                let client = try scenario.client(server.url, [], options: ["--config", file])
                for number in tunnels.indices {
                    let port = try await client.tunnel(to: service.port, skip: number)
                    try await onThreads(5 * Self.rounds, width: 8) { round in
                        let bytes = try TCPSocket(port: port).drain().bytes
                        guard bytes == line else { throw ScenarioFailure(description: "round \(round): \(bytes)") }
                    }
                }
            }
        }

        @Test("A visitor that resets before it is accepted is still identified by its address or its PROXY header")
        func visitorResetsAtOnce() async throws {
            try await Scenario.run { scenario in
                let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in received.put(try socket.drain()) }
                let rules = [
                    ("visitor_allow = [\"127.0.0.1\"]\n", ""),
                    (
                        "visitor_allow = [\"192.0.2.7\"]\ntrusted_front = [\"127.0.0.1\"]\npublic_proxy_protocol = true\n",
                        "PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"
                    ),
                ]
                for (number, (rule, header)) in rules.enumerated() {
                    let file = "\(scenario.directory)/server\(number).toml"
                    try scenario.write(rule, to: file)
                    let server = try await scenario.server(options: ["--config", file])
                    let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)"])
                    let port = try await client.tunnel(to: service.port)
                    for _ in 0..<Self.rounds {
                        try await onThread {
                            let visitor = try TCPSocket(port: port)
                            try visitor.send(header + "final bytes")
                            visitor.abort()
                        }
                        let (bytes, ending) = try await received.next("the service's connection ends")
                        #expect(String(decoding: bytes, as: UTF8.self) == "final bytes" && ending == .reset)
                    }
                }
            }
        }

        @Test("If the server dies with unsent bytes, the visitor sees a reset and not a complete stream")
        func endOfProcess() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    try socket.send([UInt8](repeating: 7, count: 60_000))
                    socket.abort()
                }
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)"])
                let port = try await client.tunnel(to: service.port)
                let visitor = try await onThread { try TCPSocket(port: port, receiveBuffer: 4_096) }
                // The client has passed on all bytes, and the visitor does not read.
                _ = try await client.process.logLine { $0.contains("stream ended") }
                try await eventually("the stream has ended") {
                    try TCPSocket(port: admin).request("GET", "/metrics").body.contains("\nculvert_streams 0\n")
                }
                await server.process.kill()
                let (bytes, ending) = try await onThread { try visitor.drain() }
                #expect(ending == .reset, "\(bytes.count) bytes")
            }
        }

        @Test("The bytes of a visitor that connected, sent and reset without a carrier arrive after the resume")
        func withoutCarrier() async throws {
            try await Scenario.run { scenario in
                let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in received.put(try socket.drain()) }
                let server = try await scenario.server()
                let relay = try FaultRelay(to: server.port)
                let client = try scenario.client("ws://127.0.0.1:\(relay.port)", ["0:127.0.0.1:\(service.port)"])
                let port = try await client.tunnel(to: service.port)
                let old = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("before")
                    return visitor
                }
                relay.setBlackhole(.both)
                relay.cut(.reset)
                _ = try await client.process.logLine { $0.contains("carrier lost") }
                _ = try await server.process.logLine { $0.contains("carrier lost") }
                try await onThread {
                    try old.send(" after")
                    old.abort()
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("newcomer")
                    visitor.abort()
                }
                relay.setBlackhole([])
                var all: [String] = []
                for _ in 0..<2 {
                    let (bytes, ending) = try await received.next("the service's connection ends")
                    #expect(ending == .reset)
                    all.append(String(decoding: bytes, as: UTF8.self))
                }
                #expect(all.sorted() == ["before after", "newcomer"])
            }
        }

        @Test("A service that reads late still receives a visitor's final bytes")
        func pendingService() async throws {
            try await Scenario.run { scenario in
                // The service reads only after the visitor has reset.
                let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let gate = Gate()
                let service = try TCPService { socket in
                    gate.wait()
                    received.put(try socket.drain())
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                for _ in 0..<10 {
                    try await onThread {
                        let visitor = try TCPSocket(port: port)
                        try visitor.send("final bytes")
                        visitor.abort()
                    }
                }
                gate.open()
                for _ in 0..<10 {
                    let (bytes, ending) = try await received.next("the service's connection ends")
                    #expect(String(decoding: bytes, as: UTF8.self) == "final bytes" && ending == .reset)
                }
            }
        }

        @Test(
            "A service that never reads keeps a reset visitor's stream for at most 5 s",
            .enabled(if: TestRun.isSlow, "waits for a timeout: CULVERT_SLOW=1")
        )
        func limit() async throws {
            try await Scenario.run { scenario in
                let gate = Gate()
                let service = try TCPService.silent(until: gate)
                let (_, client, port) = try await scenario.tunnel(to: service)
                let start = ContinuousClock.now
                try await onThread {
                    let visitor = try TCPSocket(port: port)
                    // More than the service's socket and all windows hold.
                    _ = try visitor.sendUntilStalled(
                        [UInt8](repeating: 1, count: 65_536),
                        timeout: .seconds(1),
                        limit: 200_000_000
                    )
                    visitor.abort()
                }
                _ = try await client.process.logLine(within: .seconds(30)) { $0.contains("stream ended") }
                #expect(ContinuousClock.now - start < .seconds(20))
                gate.open()
            }
        }
    }
}
