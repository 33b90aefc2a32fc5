import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A peer that does not read stops only its own stream.
    @Suite(.serialized)
    struct BackPressureTests {
        /// The path holds four kernel buffers of a few MiB each, and the stream's window.
        static let acceptedLimit = 64 << 20
        static let memoryLimit = 64 << 20

        @Test("X6 a visitor that never reads stops its service, memory stays bounded, and other streams stay fast")
        func silentVisitor() async throws {
            try await Scenario.run { scenario in
                let accepted = Mailbox<Int>()
                let flood = try TCPService { socket in
                    let chunk = randomBytes(256 << 10)
                    accepted.put(
                        try socket.sendUntilStalled(chunk, timeout: .seconds(2), limit: 4 * Self.acceptedLimit)
                    )
                    _ = try? socket.drain()
                }
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(flood.port)", "0:127.0.0.1:\(echo.port)"]
                )
                let floodPort = try await client.tunnel(to: flood.port)
                let echoPort = try await client.tunnel(to: echo.port)
                try await expectEcho(through: echoPort)
                let before = try [server.process, client.process].map { try $0.residentBytes }

                let idleVisitors = try (0..<4).map { _ in try TCPSocket(port: floodPort, receiveBuffer: 16_384) }
                for _ in idleVisitors {
                    let bytes = try await accepted.next("the service cannot send any more", within: .seconds(60))
                    #expect(bytes < Self.acceptedLimit, "\(bytes >> 20) MiB were taken from the service")
                }
                let slowest = try await Self.slowestEcho(of: 50, through: echoPort)
                #expect(slowest < .seconds(1), "another visitor waited \(slowest)")
                for (process, resident) in zip([server.process, client.process], before) {
                    let grown = try process.peakResidentBytes - resident
                    #expect(grown < Self.memoryLimit, "\(process.name) has grown by \(grown >> 20) MiB")
                }
                for visitor in idleVisitors { visitor.abort() }
                try await expectEcho(through: echoPort)
            }
        }

        @Test("X7 a service that never reads stops its visitor, and other streams stay fast")
        func silentService() async throws {
            try await Scenario.run { scenario in
                let gate = Gate()
                let silent = try TCPService.silent(until: gate)
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(silent.port)", "0:127.0.0.1:\(echo.port)"]
                )
                let silentPort = try await client.tunnel(to: silent.port)
                let echoPort = try await client.tunnel(to: echo.port)
                try await expectEcho(through: echoPort)
                let before = try [server.process, client.process].map { try $0.residentBytes }

                let accepted = try await onThread {
                    let visitor = try TCPSocket(port: silentPort)
                    let count = try visitor.sendUntilStalled(
                        randomBytes(256 << 10),
                        timeout: .seconds(2),
                        limit: 4 * Self.acceptedLimit
                    )
                    visitor.abort()
                    return count
                }
                #expect(accepted < Self.acceptedLimit, "\(accepted >> 20) MiB were taken from the visitor")
                let slowest = try await Self.slowestEcho(of: 50, through: echoPort)
                #expect(slowest < .seconds(1), "another visitor waited \(slowest)")
                for (process, resident) in zip([server.process, client.process], before) {
                    let grown = try process.peakResidentBytes - resident
                    #expect(grown < Self.memoryLimit, "\(process.name) has grown by \(grown >> 20) MiB")
                }
                gate.open()
            }
        }

        @Test("A visitor that pauses and then reads receives every byte")
        func pausedVisitor() async throws {
            try await Scenario.run { scenario in
                let bytes = randomBytes(24 << 20)
                let service = try TCPService { socket in
                    try socket.send(bytes)
                    try socket.finishSending()
                    _ = try socket.drain()
                }
                let (_, _, port) = try await scenario.tunnel(to: service)
                let received = try await onThread {
                    let visitor = try TCPSocket(port: port, receiveBuffer: 16_384)
                    let first = try visitor.receive(exactly: 1_000)
                    Thread.sleep(forTimeInterval: 1)
                    return try first + visitor.receiveToEnd()
                }
                #expect(
                    Data(received) == Data(bytes),
                    "\(received.count) bytes arrived, expected the \(bytes.count) sent bytes"
                )
            }
        }

        /// Measures the slowest of several echoes of one byte on one connection.
        static func slowestEcho(of count: Int, through port: UInt16) async throws -> Duration {
            try await onThread {
                let visitor = try TCPSocket(port: port)
                var slowest = Duration.zero
                for _ in 0..<count {
                    let start = ContinuousClock.now
                    try visitor.send("x")
                    _ = try visitor.receive(exactly: 1)
                    slowest = max(slowest, ContinuousClock.now - start)
                }
                visitor.close()
                return slowest
            }
        }
    }
}
