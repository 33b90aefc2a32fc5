import NIOCore
import NIOPosix
import Testing

@testable import TunnelAdmin
@testable import TunnelCore
@testable import TunnelServer

@Suite("The event loops of an embedded server")
struct EventLoopGroupTests {
    @Test("A server listens on the given event loops")
    func endpoint() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = ServerConfiguration()
        configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
        let logger = CollectedLog().logger
        let core = try ServerCore(configuration, logger: logger)
        let channels = try await ServerEndpoint(core, on: group, logger: logger) { _, _ in }.listen()
        #expect(channels.map { $0.eventLoop === group.any() } == [true])
        for channel in channels { try await channel.close() }
        try await group.shutdownGracefully()
    }

    @Test("A stopped server does not shut down the caller's event loops")
    func wholeServer() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = ServerConfiguration()
        configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
        configuration.admin = AdminPlaces([.tcp(host: "127.0.0.1", port: 0)])
        let (events, continuation) = AsyncStream<Void>.makeStream()
        let server = Server(configuration, eventLoopGroup: group, logger: CollectedLog().logger) { event in
            if case .ready = event { continuation.yield() }
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            for await _ in events { break }
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
        try await group.shutdownGracefully()
    }
}
