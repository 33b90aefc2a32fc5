import NIOCore
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
                    if isCarrier { try SocketOptions.carrier(channel) } else { try SocketOptions.stream(channel) }
                }
            }
            .connect(host: "127.0.0.1", port: Int(service.port)).get()
        #expect(try await channel.getOption(.tcpOption(.tcp_nodelay)).get() != 0)
        #expect(try await channel.getOption(.socketOption(.so_keepalive)).get() != 0)
        try await channel.close()
    }
}
