import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What happens to a connection at one end is what the other end sees: FIN, RST, refusal, and the last byte.
    @Suite(.serialized)
    struct TruthAboutTCPTests {
        @Test("N4 the visitor's half-close reaches the service, and the reply after it is complete")
        func visitorHalfCloses() async throws {
            try await Scenario.play { scenario in
                let service = try TCPService.answerAfterEnd()
                let (_, _, port) = try await scenario.tunnel(to: service)
                let question = randomBytes(3_000_000)
                let answer = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send(question)
                    try visitor.finishSending()
                    return try visitor.receiveToEnd()
                }
                #expect(answer == Array("\(question.count)\n".utf8) + question)
            }
        }

        @Test("N5 the service half-closes first, and the upload goes on")
        func serviceHalfCloses() async throws {
            try await Scenario.play { scenario in
                let uploads = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    try socket.send("said all I have to say")
                    try socket.finishSending()
                    uploads.put(try socket.receiveToEnd())
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let upload = randomBytes(3_000_000)
                try await onThread {
                    let visitor = try TCPSocket(port: port)
                    let greeting = String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
                    try demand(greeting == "said all I have to say", greeting)
                    try visitor.send(upload)
                    try visitor.finishSending()
                }
                let received = try await uploads.next("the upload arrives")
                #expect(received == upload)
            }
        }

        @Test("N6 the visitor's RST is an RST at the service")
        func visitorResets() async throws {
            try await Scenario.play { scenario in
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

        @Test("N7 the service's RST is an RST at the visitor")
        func serviceResets() async throws {
            try await Scenario.play { scenario in
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

        @Test("An RST after a half-close is still an RST")
        func resetAfterHalfClose() async throws {
            try await Scenario.play { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receiveToEnd()
                    try socket.send("half of the ans")
                    socket.abort()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let (bytes, ending) = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.send("question")
                    try visitor.finishSending()
                    return try visitor.drain()
                }
                #expect(String(decoding: bytes, as: UTF8.self) == "half of the ans" && ending == .reset)
            }
        }

        @Test("N9 P12 where the service refuses, the visitor is reset and nothing is pretended")
        func refused() async throws {
            try await Scenario.play { scenario in
                let nobody = try FreePorts.next()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(nobody)"])
                let port = try await client.tunnel(to: nobody)
                for _ in 0..<3 {
                    let (bytes, ending) = try await onThread { try TCPSocket(port: port).drain() }
                    #expect(ending == .reset)
                    #expect(bytes.isEmpty)
                }
                // A service that comes up later is found without anybody being restarted.
                let service = try TCPService.echo(port: nobody)
                try await expectEcho(through: port)
                service.stop()
            }
        }

        @Test("N8 the last bytes before a close arrive, also at a visitor that reads late")
        func lastBytes() async throws {
            try await Scenario.play { scenario in
                let farewell = randomBytes(200_000)
                let service = try TCPService { socket in
                    try socket.send(farewell)
                    socket.close()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThreads(40, width: 8) { index in
                    let visitor = try TCPSocket(port: port, receiveBuffer: 4_096)
                    if index.isMultiple(of: 4) { Thread.sleep(forTimeInterval: 0.1) }
                    let received = try visitor.receiveToEnd()
                    guard received == farewell else {
                        throw ScenarioFailure(description: "\(received.count) bytes of \(farewell.count) arrived")
                    }
                }
            }
        }

        @Test("A visitor that leaves without a word leaves no connection at the service")
        func visitorCloses() async throws {
            try await Scenario.play { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let service = try TCPService { socket in endings.put(try socket.drain().ending) }
                let (_, _, port) = try await scenario.tunnel(to: service)
                try await onThread { try TCPSocket(port: port).close() }
                let ending = try await endings.next("the service sees the end")
                #expect(ending == .end)
            }
        }

        @Test("N8 X11 thousands of connections in a row lose no byte and leave no descriptor")
        func manyConnections() async throws {
            let count = TestRun.isHeavy ? 10_000 : 2_000
            try await Scenario.play { scenario in
                let service = try TCPService.answerAfterEnd()
                let (server, client, port) = try await scenario.tunnel(to: service)
                let exchange: @Sendable (Int) throws -> Void = { index in
                    let question = randomBytes(index % 7 == 0 ? 20_000 + index : index % 700)
                    let visitor = try TCPSocket(port: port)
                    try visitor.send(question)
                    try visitor.finishSending()
                    let answer = try visitor.receiveToEnd()
                    guard answer == Array("\(question.count)\n".utf8) + question else {
                        throw ScenarioFailure(
                            description: "connection \(index): \(answer.count) bytes for \(question.count)"
                        )
                    }
                }
                // Some first, so that what both open once and keep is open already.
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

        @Test("X11 resets in a row leave no descriptor either")
        func manyResets() async throws {
            try await Scenario.play { scenario in
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
                #expect(client.process.output.lines.count == 1, "the session has lived through it")
            }
        }
    }
}

/// How many descriptors each process has open; -1 for one that has ended.
func descriptors(_ processes: [ChildProcess]) -> [Int] {
    processes.map { (try? $0.descriptorCount) ?? -1 }
}

/// The counts once they have stopped to fall: the last connections' ends need a moment.
func settledDescriptors(_ processes: [ChildProcess]) async throws -> [Int] {
    var counts = descriptors(processes)
    while true {
        try await Task.sleep(for: .milliseconds(300))
        let now = descriptors(processes)
        if zip(now, counts).allSatisfy({ $0 >= $1 }) { return counts }
        counts = now
    }
}
