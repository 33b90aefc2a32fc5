import Mux
import NIOCore
import NIOEmbedded
import NIOPosix
import TestSupport
import Testing

@testable import Tunnel

/// What our sockets are told, on real ones.
@Suite("Options of sockets")
struct SocketOptionsTests {
    /// The four kinds of socket (a visitor's, a service's, and either end of a carrier) get theirs from two functions.
    @Test("N30 no socket holds small pieces back, and a peer that is gone is noticed", arguments: [false, true])
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
        try await channel.close()
    }

    @Test("N30 a visitor's socket has the same from the public port, with nothing asked of it itself")
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
                    ]
                    options.succeed(values)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let visitor = try await ClientBootstrap(group: group).connect(to: #require(port.localAddress)).get()
        #expect(try await options.futureResult.get().map { $0 != 0 } == [true, true])
        try await visitor.close()
        try await port.close()
    }
    #if os(Linux)
    @Test("what goes over the machine's own loopback is not paced, in its kernel's own words")
    func unpaced() async throws {
        let service = try TCPService.echo()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: Int(service.port)).get()
        try await channel.eventLoop.submit { SocketOptions.unpace(channel) }.get()
        #expect(try await channel.getOption(SocketOptions.congestionControl).get() == SocketOptions.reno)
        #expect(withUnsafeBytes(of: SocketOptions.reno) { $0.starts(with: "reno".utf8) })
        try await channel.close()
    }

    /// A channel that says it is connected to this address, or to a unix socket.
    private func channel(to address: String?) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        let peer = try address.map { try SocketAddress(ipAddress: $0, port: 1) }
        channel.connect(to: try peer ?? SocketAddress(unixDomainSocketPath: "/run/a"), promise: nil)
        return channel
    }

    @Test(
        "all else is left to the system's choice",
        arguments: [
            ("127.0.0.1", true), ("127.8.8.8", true), ("::1", true), ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false), ("2001:db8::1", false), (nil, false),
        ] as [(String?, Bool)]
    )
    func elsewhere(address: String?, isUnpaced: Bool) throws {
        let channel = try channel(to: address)
        SocketOptions.unpace(channel)
        #expect(channel.isUnpaced == isUnpaced)
        let unconnected = EmbeddedChannel()
        SocketOptions.unpace(unconnected)
        #expect(!unconnected.isUnpaced)
    }

    @Test("a carrier asks for it once it is one", arguments: [("127.0.0.1", true), ("192.0.2.1", false)])
    func carrier(address: String, isUnpaced: Bool) throws {
        let channel = try channel(to: address)
        #expect(!channel.isUnpaced)
        try channel.pipeline.syncOperations.addHandler(Carrier(role: .client, deflate: nil, receiver: Nobody()))
        #expect(channel.isUnpaced == isUnpaced)
    }
    #endif
}

extension EmbeddedChannel {
    /// Whether it was told not to be paced.
    var isUnpaced: Bool {
        #if os(Linux)
        options.contains { option, value in
            let option = option as? ChannelOptions.Types.SocketOption
            return option == SocketOptions.congestionControl && value as? SocketOptionValue == SocketOptions.reno
        }
        #else
        false
        #endif
    }
}

private final class Nobody: CarrierReceiver {
    func carrier(received frame: InboundFrame) {}
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrier(violatedBy error: MuxError) {}
    func carrierLost(_ loss: CarrierLoss) {}
}
