import NIOCore
import NIOPosix
import NetworkAddress
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("Slots for connections to the admin server")
struct AdminSlotsTests {
    /// Whether each address in turn gets a slot. nil is a unix socket, and "-" before an address returns its slot.
    private func entered(_ steps: [String?], _ connections: Int) throws -> [Bool] {
        var slots = AdminSlots()
        let limits = AdminLimits(connections: connections)
        return try steps.compactMap { step in
            let leaves = step?.hasPrefix("-") ?? false
            let address = try step.map { try #require(IPAddress(leaves ? String($0.dropFirst()) : $0)) }
            guard leaves else { return slots.enter(address, limits) }
            slots.leave(address)
            return nil
        }
    }

    @Test("An address has at most a quarter of the slots, and other addresses have theirs")
    func quarter() throws {
        let one = [String](repeating: "192.0.2.1", count: 17)
        let all = one + ["192.0.2.2", "-192.0.2.1", "192.0.2.1", "192.0.2.1"]
        #expect(try entered(all, 64) == [Bool](repeating: true, count: 16) + [false, true, true, false])
    }

    @Test(
        "A /64 of IPv6 counts as one address, and both forms of an IPv4 address count as one"
    )
    func subscribers() throws {
        let network = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
        #expect(try entered(network, 4) == [true, false, true])
        #expect(try entered(["192.0.2.1", "::ffff:192.0.2.1"], 4) == [true, false])
    }

    @Test("Unix sockets can take all slots and no more, and each address has at least one slot")
    func unix() throws {
        #expect(try entered([nil, nil, nil, nil], 3) == [true, true, true, false])
        #expect(try entered(["192.0.2.1", "192.0.2.2"], 1) == [true, false])
    }

    @Test("Silent connections of one address leave slots for others")
    func others() async throws {
        let port = try FreePorts.next()
        let configure: (inout ServerConfiguration) -> Void = {
            $0.admin = AdminPlaces([.tcp(host: "127.0.0.1", port: port)])
            $0.serverLimits.admin = AdminLimits(connections: 8, timeout: .seconds(60))
        }
        try await RunningServer.with(configure) { server in
            let idle = try (0..<20).map { _ in try TCPSocket(port: port) }
            // Connections beyond the address's slots are closed at once.
            _ = try await onThread { try idle[19].drain() }
            let answers = Mailbox<String>()
            let other = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(to: SocketAddress(ipAddress: "127.0.0.3", port: 0))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Reader(answers))
                    }
                }
                .connect(to: SocketAddress(ipAddress: "127.0.0.1", port: Int(port))).get()
            try await other.writeAndFlush(ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
            let answer = try await answers.next("the other address is answered")
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
            for socket in idle { socket.close() }
        }
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let answers: Mailbox<String>

        init(_ answers: Mailbox<String>) {
            self.answers = answers
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            answers.put(String(buffer: unwrapInboundIn(data)))
        }
    }
}
