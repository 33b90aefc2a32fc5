import ArgumentParser
import HTTP1
import NIOCore
import NIOPosix
import WebSocket

/// `websocket-echo client`: runs the cases of Autobahn's fuzzing server as a client under test.
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Runs all cases of an Autobahn fuzzing server by echoing, and lets the server write its report."
    )

    @Option(help: "The fuzzing server, ws://HOST:PORT.")
    var url: EchoURL

    @Option(help: "The name of this client in the report.", transform: EchoURL.queryValue)
    var agent: String

    @Flag(help: "Offer permessage-deflate.")
    var deflate = false

    func run() async throws {
        let answer = String(buffer: try await connect("/getCaseCount", echoes: false))
        guard let count = Int(answer), (0...100_000).contains(count) else {
            throw ValidationError("the server's number of cases is \(answer.escapedForDisplay(limit: 20))")
        }
        for number in 0..<count {
            do {
                _ = try await connect("/runCase?case=\(number + 1)&agent=\(agent)", echoes: true)
            } catch let error as ChannelError {
                // Some cases end with a lost connection, and the server judges them.
                print("case \(number + 1): \(error)")
            }
        }
        _ = try await connect("/updateReports?agent=\(agent)", echoes: false)
    }

    /// Runs one connection, and returns the last message.
    private func connect(_ path: String, echoes: Bool) async throws -> ByteBuffer {
        let upgrade = try ClientUpgrade(
            authority: url.authority,
            path: path,
            deflate: deflate ? DeflateOptions() : nil
        )
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let done = loop.makePromise(of: ByteBuffer.self)
        do {
            _ = try await ClientBootstrap(group: loop)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = EchoHandler(handshake: .client(upgrade), echoes: echoes, done: done)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: url.host, port: url.port).get()
        } catch {
            done.fail(error)
        }
        return try await done.futureResult.get()
    }
}
