import MetricsTestKit
import Mux
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A client as a library: closures as services, and tunnels that are added and removed.
@Suite("A client inside a program") struct EmbeddingTests {
    /// Echoes bytes in upper case, and closes after the visitor's FIN.
    private final class UppercaseHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data)).uppercased()
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case .inputClosed? = event as? ChannelEvent else { return }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "!")), promise: nil)
            context.close(mode: .output, promise: nil)
        }
    }

    private static func uppercaseService(_ name: String = "shout") -> InProcessService {
        InProcessService(name: name) { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(UppercaseHandler()) }
        }
    }

    private func client(
        _ port: UInt16,
        name: String = "embedded",
        _ tunnels: [TunnelSpec],
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        log: CollectedLog = CollectedLog(),
        metrics: TestMetrics? = nil,
        _ urls: Mailbox<String>
    ) throws -> Client {
        var configuration = ClientConfiguration(
            endpoints: [try EndpointURL("ws://127.0.0.1:\(port)")],
            tunnels: tunnels,
            token: Identity.alice.token,
            instance: ClientInstance.identity(name: name)
        )
        configuration.drainTimeout = .seconds(1)
        return Client(configuration, eventLoopGroup: group, metricsFactory: metrics, logger: log.logger) { event in
            if case .tunnel(let url, let service) = event { urls.put("\(service) \(url)") }
        }
    }

    private func port(_ urls: Mailbox<String>) async throws -> UInt16 {
        let url = try await urls.next("a tunnel is public")
        return try #require(url.split(separator: ":").last.flatMap { UInt16($0) })
    }

    @Test("A closure gets each visitor's stream, including its half-close")
    func closure() async throws {
        try await RunningServer.with { server in
            let urls = Mailbox<String>()
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let client = try client(
                server.port,
                [TunnelSpec(port: 0, to: .inProcess(Self.uppercaseService()))],
                group: group,
                urls
            )
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await client.run() }
                let publicPort = try await port(urls)
                try await onThread {
                    for _ in 0..<3 {
                        let visitor = try TCPSocket(port: publicPort)
                        try visitor.send(Array("hello".utf8))
                        try visitor.finishSending()
                        let answer = try visitor.receiveToEnd()
                        try require(String(decoding: answer, as: UTF8.self) == "HELLO!", "\(answer)")
                        visitor.close()
                    }
                }
                tasks.cancelAll()
            }
            try await group.shutdownGracefully()
        }
    }

    @Test("A tunnel that is added at run time becomes public, and the server gives up the port of a removed one")
    func tunnelsAddedAndRemoved() async throws {
        try await RunningServer.with { server in
            let urls = Mailbox<String>()
            let first = TunnelSpec(port: 0, to: .inProcess(Self.uppercaseService("first")))
            let second = TunnelSpec(port: 0, to: .inProcess(Self.uppercaseService("second")))
            let log = CollectedLog()
            let client = try client(server.port, [first], log: log, urls)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await client.run() }
                let one = try await port(urls)
                #expect(client.tunnels.add(second))
                let two = try await port(urls)
                let open = try await onThread {
                    for port in [one, two] { try Self.requireAnswer(at: port) }
                    let open = try TCPSocket(port: one)
                    try open.send("a")
                    _ = try open.receive(exactly: 1)
                    return open
                }
                #expect(client.tunnels.remove(first))
                #expect(!client.tunnels.remove(first))
                try await eventually("the server gives the port up") { Self.isRefused(at: one) }
                #expect(server.log.count("port given back") == 1)
                try await onThread {
                    // The streams of the removed tunnel continue.
                    try open.send("b")
                    try require(try open.receive(exactly: 1) == Array("B".utf8), "the stream has ended")
                    try Self.requireAnswer(at: two)
                }
                #expect(client.tunnels.all == [second])
                tasks.cancelAll()
            }
        }
    }

    @Test("Two clients in one process count into their own metrics backends")
    func metrics() async throws {
        try await RunningServer.with { server in
            let urls = Mailbox<String>()
            let backends = [TestMetrics(), TestMetrics()]
            let clients = try backends.enumerated().map { number, metrics in
                let service = Self.uppercaseService("\(number)")
                let tunnel = TunnelSpec(port: 0, to: .inProcess(service))
                return try client(server.port, name: "\(number)", [tunnel], metrics: metrics, urls)
            }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for client in clients { tasks.addTask { try await client.run() } }
                var ports: [String: UInt16] = [:]
                for _ in clients {
                    let parts = try await urls.next("a tunnel is public").split(separator: " ")
                    ports[String(parts[0])] = parts[1].split(separator: ":").last.flatMap { UInt16($0) }
                }
                let first = try #require(ports["0"])
                try await onThread { try Self.requireAnswer(at: first) }
                @Sendable func ended(_ metrics: TestMetrics) throws -> Int64 {
                    try metrics.expectCounter("culvert_streams_total").totalValue
                }
                try await eventually("the stream has ended") { try ended(backends[0]) == 1 }
                #expect(try ended(backends[1]) == 0)
                #expect(try backends.map { try $0.expectCounter("culvert_sessions_total").totalValue } == [1, 1])
                tasks.cancelAll()
            }
        }
    }

    private static func requireAnswer(at port: UInt16) throws {
        let visitor = try TCPSocket(port: port)
        try visitor.send(Array("x".utf8))
        try require(try visitor.receive(exactly: 1) == Array("X".utf8), "an answer at \(port)")
        visitor.close()
    }

    /// Whether nothing listens at the port.
    private static func isRefused(at port: UInt16) -> Bool {
        do {
            try TCPSocket(port: port).close()
            return false
        } catch {
            return error as? SocketError == .refused
        }
    }
}
