import ArgumentParser
import NIOCore
import NIOPosix
import Platform
import WebSocket

/// `websocket-echo server`: echoes messages until it is killed.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Listens on 127.0.0.1, path /, and echoes text and binary messages."
    )

    @Option(help: "The port to listen on; 0 takes a free one, which is printed.")
    var port: Int

    @Flag(help: "Accept permessage-deflate if a client offers it.")
    var deflate = false

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("a port is 0 to 65535") }
    }

    func run() async throws {
        let upgrade = ServerUpgrade(path: "/", deflate: deflate ? DeflateOptions() : nil)
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                let done = channel.eventLoop.makePromise(of: ByteBuffer.self)
                return channel.eventLoop.makeCompletedFuture {
                    let handler = EchoHandler(handshake: .server(upgrade), echoes: true, done: done)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        print("listening on 127.0.0.1:\(listener.localAddress?.port ?? port)")
        // The parent process waits for this line, perhaps at a pipe.
        fflush(nil)
        try await listener.closeFuture.get()
    }
}
