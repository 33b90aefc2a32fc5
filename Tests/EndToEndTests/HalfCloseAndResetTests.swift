import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Each end of a connection sees the FIN, RST, refusal and last byte of the other end.
    @Suite(.serialized)
    struct HalfCloseAndResetTests {
        @Test("N4 the visitor's half-close reaches the service, and the later reply is complete")
        func visitorHalfCloses() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.answerAfterEnd()
                let (_, _, port) = try await scenario.tunnel(to: service)
                let request = randomBytes(3_000_000)
                let response = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send(request)
                    try visitor.finishSending()
                    return try visitor.receiveToEnd()
                }
                #expect(response == Array("\(request.count)\n".utf8) + request)
            }
        }

        @Test("N5 the upload continues after the service's half-close")
        func serviceHalfCloses() async throws {
            try await Scenario.run { scenario in
                let uploads = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    try socket.send("all bytes of the service")
                    try socket.finishSending()
                    uploads.put(try socket.receiveToEnd())
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let upload = randomBytes(3_000_000)
                try await onThread {
                    let visitor = try TCPSocket(port: port)
                    let banner = String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
                    try require(banner == "all bytes of the service", banner)
                    try visitor.send(upload)
                    try visitor.finishSending()
                }
                let received = try await uploads.next("the upload arrives")
                #expect(received == upload)
            }
        }

        @Test("N6 the visitor's RST causes an RST at the service")
        func visitorResets() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let service = try TCPService { socket in
                    try socket.send("hello")
                    endings.put(try socket.drain().ending)
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("something")
                    _ = try visitor.receive(exactly: 5)
                    visitor.abort()
                }
                let ending = try await endings.next("the service sees the end")
                #expect(ending == .reset)
            }
        }

        @Test("N7 the service's RST causes an RST at the visitor")
        func serviceResets() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 5)
                    socket.abort()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let ending = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("hello")
                    return try visitor.drain().ending
                }
                #expect(ending == .reset)
            }
        }

        @Test("An RST after a half-close causes an RST")
        func resetAfterHalfClose() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receiveToEnd()
                    try socket.send("partial resp")
                    socket.abort()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let (bytes, ending) = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("request")
                    try visitor.finishSending()
                    return try visitor.drain()
                }
                #expect(String(decoding: bytes, as: UTF8.self) == "partial resp" && ending == .reset)
            }
        }

        @Test("N9 P12 if the service refuses the connection, the visitor is reset and receives no byte")
        func refused() async throws {
            try await Scenario.run { scenario in
                let unusedPort = try FreePorts.next()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(unusedPort)"])
                let port = try await client.tunnel(to: unusedPort)
                for _ in 0..<3 {
                    let (bytes, ending) = try await onThread { try TCPSocket(port: port).drain() }
                    #expect(ending == .reset)
                    #expect(bytes.isEmpty)
                }
                // A service that starts later is reached without a restart.
                let service = try TCPService.echo(port: unusedPort)
                try await expectEcho(through: port)
                service.stop()
            }
        }

        @Test("N8 the last bytes before a close arrive, even at a visitor that reads late")
        func lastBytes() async throws {
            try await Scenario.run { scenario in
                let payload = randomBytes(200_000)
                let service = try TCPService { socket in
                    try socket.send(payload)
                    socket.close()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThreads(40, width: 8) { index in
                    let visitor = try TCPSocket(port: port, receiveBuffer: 4_096)
                    if index.isMultiple(of: 4) { Thread.sleep(forTimeInterval: 0.1) }
                    let received = try visitor.receiveToEnd()
                    guard received == payload else {
                        throw ScenarioFailure(description: "\(received.count) bytes of \(payload.count) arrived")
                    }
                }
            }
        }

        @Test("A visitor that closes without sending ends its connection at the service")
        func visitorCloses() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let service = try TCPService { socket in endings.put(try socket.drain().ending) }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThread { try TCPSocket(port: port).close() }
                let ending = try await endings.next("the service sees the end")
                #expect(ending == .end)
            }
        }

        @Test("N8 X11 thousands of connections lose no byte and leak no descriptor")
        func manyConnections() async throws {
            let count = TestRun.isHeavy ? 10_000 : 2_000
            try await Scenario.run { scenario in
                let service = try TCPService.answerAfterEnd()
                let (server, client, port) = try await scenario.tunnel(to: service)
                let exchange: @Sendable (Int) throws -> Void = { index in
                    let request = randomBytes(index % 7 == 0 ? 20_000 + index : index % 700)
                    let visitor = try TCPSocket(port: port)
                    try visitor.send(request)
                    try visitor.finishSending()
                    let response = try visitor.receiveToEnd()
                    guard response == Array("\(request.count)\n".utf8) + request else {
                        throw ScenarioFailure(
                            description: "connection \(index): \(response.count) bytes for \(request.count)"
                        )
                    }
                }
                // Opens the descriptors that both processes keep, before the count.
                try await onThreads(32, width: 32, exchange)
                let before = try await settledDescriptors([server.process, client.process])
                try await onThreads(count, width: 32, exchange)
                try await eventually(
                    "both processes have as many descriptors as before",
                    found: { "\(before) before, now \(descriptors([server.process, client.process]))" }
                ) {
                    zip(descriptors([server.process, client.process]), before).allSatisfy { $0 <= $1 }
                }
                #expect(service.accepted == count + 32)
                #expect(service.failures.all.isEmpty)
            }
        }

        @Test("The sockets of a process that is killed are reset: streams that were cut do not look complete")
        func killed() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let service = try TCPService { socket in
                    try socket.send(try socket.receive(exactly: 5))
                    endings.put(try socket.drain().ending)
                }
                let (server, client, port) = try await scenario.tunnel(to: service)
                let visitor = try TCPSocket(port: port)
                try await onThread {
                    try visitor.send("hello")
                    _ = try visitor.receive(exactly: 5)
                }
                await client.process.kill()
                #expect(try await endings.next("the service sees the end") == .reset)
                await server.process.kill()
                #expect(try await onThread { try visitor.drain() }.ending == .reset)
            }
        }

        @Test("X11 resets leak no descriptor")
        func manyResets() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.echo()
                let (server, client, port) = try await scenario.tunnel(to: service)
                let exchange: @Sendable (Int) throws -> Void = { index in
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("hello")
                    if index.isMultiple(of: 2) { _ = try visitor.receive(exactly: 5) }
                    visitor.abort()
                }
                try await onThreads(16, width: 8, exchange)
                let before = try await settledDescriptors([server.process, client.process])
                try await onThreads(300, width: 8, exchange)
                try await eventually(
                    "both processes have as many descriptors as before",
                    found: { "\(before) before, now \(descriptors([server.process, client.process]))" }
                ) {
                    zip(descriptors([server.process, client.process]), before).allSatisfy { $0 <= $1 }
                }
                try await expectEcho(through: port)
                #expect(client.process.output.lines.count == 1, "the session was not replaced")
            }
        }
    }
}

/// The number of open descriptors of each process; -1 for one that has ended.
func descriptors(_ processes: [ChildProcess]) -> [Int] {
    processes.map { (try? $0.descriptorCount) ?? -1 }
}

/// Waits until the counts no longer fall, because the last connections close with a delay.
func settledDescriptors(_ processes: [ChildProcess]) async throws -> [Int] {
    var counts = descriptors(processes)
    while true {
        try await Task.sleep(for: .milliseconds(300))
        let now = descriptors(processes)
        if zip(now, counts).allSatisfy({ $0 >= $1 }) { return counts }
        counts = now
    }
}
