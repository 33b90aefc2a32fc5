import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

/// Options of the product's sockets, read from real sockets.
@Suite("Options of sockets")
struct SocketOptionsTests {
    private static let urgentInline = ChannelOptions.Types.SocketOption(
        level: .socket,
        name: .init(rawValue: SO_OOBINLINE)
    )

    /// Two functions set the options of all sockets: of visitors and services, and of both ends of a carrier.
    @Test(
        "N30 sockets have TCP_NODELAY and keep-alive, and those of streams receive urgent bytes inline",
        arguments: [false, true]
    )
    func network(isCarrier: Bool) async throws {
        let service = try TCPService.echo()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if isCarrier { try SocketOptions.carrier(channel) } else { try SocketOptions.service(channel) }
                }
            }
            .connect(host: "127.0.0.1", port: Int(service.port)).get()
        #expect(try await channel.getOption(.tcpOption(.tcp_nodelay)).get() != 0)
        #expect(try await channel.getOption(.socketOption(.so_keepalive)).get() != 0)
        if !isCarrier { #expect(try await channel.getOption(Self.urgentInline).get() != 0) }
        try await channel.close()
    }

    @Test("N30 a visitor's socket inherits the options of the public port")
    func visitor() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let options = group.any().makePromise(of: [SocketOptionValue].self)
        let port = try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try SocketOptions.publicPort(channel) }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.visitor(channel)
                    let own = try #require(channel.syncOptions)
                    let values = [
                        try own.getOption(.tcpOption(.tcp_nodelay)), try own.getOption(.socketOption(.so_keepalive)),
                        try own.getOption(Self.urgentInline),
                    ]
                    options.succeed(values)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let visitor = try await ClientBootstrap(group: group).connect(to: #require(port.localAddress)).get()
        #expect(try await options.futureResult.get().map { $0 != 0 } == [true, true, true])
        try await visitor.close()
        try await port.close()
    }
}
