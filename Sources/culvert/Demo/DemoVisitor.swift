import HTTP1
import NIOCore
import NIOPosix

/// Visits a URL once, as a browser would.
enum DemoVisitor {
    /// The response.
    struct Answer: Sendable {
        let status: String
        let body: String
    }

    /// The limit of the page in bytes.
    private static let maximumPage = 65_536

    /// Fetches `/` from a port of loopback.
    static func get(port: Int, on group: any EventLoopGroup) async throws -> Answer {
        let channel = try await ClientBootstrap(group: group)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(
                ByteBuffer(string: "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n")
            )
            var page = ByteBuffer()
            for try await chunk in inbound where page.readableBytes < maximumPage {
                page.writeImmutableBuffer(chunk)
            }
            var parser = ResponseHeadParser()
            guard let head = try parser.receive(&page) else { return Answer(status: "no answer", body: "") }
            return Answer(status: "HTTP/1.1 \(head.status) \(head.reason)", body: String(buffer: page))
        }
    }
}
