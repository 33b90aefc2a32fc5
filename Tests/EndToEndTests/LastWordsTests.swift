import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What is sent right before a reset arrives before it, as it does over a bare connection.
    @Suite(.serialized)
    struct LastWordsTests {
        private static let rounds = 40

        @Test("a visitor's bytes right before its reset reach the service, and then the reset does")
        func visitorsLastWords() async throws {
            try await Scenario.play { scenario in
                let heard = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in heard.put(try socket.drain()) }
                let (server, client, port) = try await scenario.tunnel(to: service)
                let before = try await settledDescriptors([server.process, client.process])
                for round in 0..<Self.rounds {
                    let words = randomBytes(round.isMultiple(of: 4) ? 30_000 : 500)
                    try await onThread {
                        let visitor = try TCPSocket(port: port)
                        try visitor.send(words)
                        visitor.abort()
                    }
                    let (bytes, ending) = try await heard.next("the service hears of it")
                    #expect(bytes == words, "round \(round): \(bytes.count) of \(words.count) bytes")
                    #expect(ending == .reset, "round \(round)")
                }
                try await eventually("no descriptor is left behind") {
                    zip(descriptors([server.process, client.process]), before).allSatisfy { $0 <= $1 }
                }
            }
        }

        @Test("an answer over an unread upload reaches the visitor, and then the reset does")
        func earlyAnswer() async throws {
            let answer = Array("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
            try await Scenario.play { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 100)
                    try socket.send(answer)
                    socket.close()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThreads(Self.rounds, width: 4) { round in
                    let visitor = try TCPSocket(port: port)
                    // The reset comes while it is sending.
                    try? visitor.send([UInt8](repeating: 7, count: 20_000_000))
                    let bytes = (try? visitor.drain().bytes) ?? []
                    guard bytes == answer else {
                        throw ScenarioFailure(description: "round \(round): \(bytes.count) of \(answer.count) bytes")
                    }
                }
            }
        }

        @Test("a service that answers and closes over an unread greeting is heard, also by a visitor that reads late")
        func fullServer() async throws {
            let line = Array("Exceeded MaxStartups\r\n".utf8)
            try await Scenario.play { scenario in
                let service = try TCPService { socket in
                    // Closing over unread bytes is a reset, so they must have come.
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

        @Test("a service that speaks and resets as soon as it has accepted is heard, with a PROXY header too")
        func hastyService() async throws {
            let line = Array("Exceeded MaxStartups\r\n".utf8)
            try await Scenario.play { scenario in
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

        @Test("a visitor that resets before it is looked at is known by its address, and by its PROXY header")
        func hastyVisitor() async throws {
            try await Scenario.play { scenario in
                let heard = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in heard.put(try socket.drain()) }
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
                            try visitor.send(header + "last words")
                            visitor.abort()
                        }
                        let (bytes, ending) = try await heard.next("the service hears of it")
                        #expect(String(decoding: bytes, as: UTF8.self) == "last words" && ending == .reset)
                    }
                }
            }
        }

        @Test("what a process that ends could not send before a reset looks cut off, and not complete")
        func endOfProcess() async throws {
            try await Scenario.play { scenario in
                let service = try TCPService { socket in
                    try socket.send([UInt8](repeating: 7, count: 60_000))
                    socket.abort()
                }
                let admin = try FreePorts.next()
                let server = try await scenario.server(options: ["--admin", "127.0.0.1:\(admin)"])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)"])
                let port = try await client.tunnel(to: service.port)
                let visitor = try await onThread { try TCPSocket(port: port, receiveBuffer: 4_096) }
                // The kernel has taken all of it, and the visitor does not read.
                _ = try await client.process.logLine { $0.contains("stream ended") }
                try await eventually("the stream has ended") {
                    try TCPSocket(port: admin).request("GET", "/metrics").body.contains("\nculvert_streams 0\n")
                }
                await server.process.kill()
                let (bytes, ending) = try await onThread { try visitor.drain() }
                #expect(ending == .reset, "\(bytes.count) bytes")
            }
        }

        @Test("a visitor that came, spoke and was reset while there was no carrier is heard after the resume")
        func withoutCarrier() async throws {
            try await Scenario.play { scenario in
                let heard = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let service = try TCPService { socket in heard.put(try socket.drain()) }
                let server = try await scenario.server()
                let relay = try FaultRelay(to: server.port)
                let client = try scenario.client("ws://127.0.0.1:\(relay.port)", ["0:127.0.0.1:\(service.port)"])
                let port = try await client.tunnel(to: service.port)
                let old = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("before")
                    return visitor
                }
                relay.setHole(.both)
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
                relay.setHole([])
                var all: [String] = []
                for _ in 0..<2 {
                    let (bytes, ending) = try await heard.next("the service hears of it")
                    #expect(ending == .reset)
                    all.append(String(decoding: bytes, as: UTF8.self))
                }
                #expect(all.sorted() == ["before after", "newcomer"])
            }
        }

        @Test("a service that answers late still gets a visitor's last words, as a connection in its queue would have")
        func pendingService() async throws {
            try await Scenario.play { scenario in
                // Nothing is accepted yet: the connection waits in the listen queue.
                let heard = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
                let gate = Gate()
                let service = try TCPService { socket in
                    gate.wait()
                    heard.put(try socket.drain())
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                for _ in 0..<10 {
                    try await onThread {
                        let visitor = try TCPSocket(port: port)
                        try visitor.send("last words")
                        visitor.abort()
                    }
                }
                gate.open()
                for _ in 0..<10 {
                    let (bytes, ending) = try await heard.next("the service hears of it")
                    #expect(String(decoding: bytes, as: UTF8.self) == "last words" && ending == .reset)
                }
            }
        }

        @Test(
            "a service that never reads holds a reset visitor's stream for five seconds, and no longer",
            .enabled(if: TestRun.isSlow, "the bound is a time")
        )
        func bound() async throws {
            try await Scenario.play { scenario in
                let gate = Gate()
                let service = try TCPService.silent(until: gate)
                let (_, client, port) = try await scenario.tunnel(to: service)
                let begun = ContinuousClock.now
                try await onThread {
                    let visitor = try TCPSocket(port: port)
                    // More than the service's socket and all windows take.
                    _ = try visitor.sendUntilStalled(
                        [UInt8](repeating: 1, count: 65_536),
                        patience: .seconds(1),
                        limit: 200_000_000
                    )
                    visitor.abort()
                }
                _ = try await client.process.logLine(within: .seconds(30)) { $0.contains("stream ended") }
                #expect(ContinuousClock.now - begun < .seconds(20))
                gate.open()
            }
        }
    }
}
