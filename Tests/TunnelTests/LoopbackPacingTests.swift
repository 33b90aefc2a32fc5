import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

#if os(Linux)
/// On real sockets. What they are told shows only where the system paces; elsewhere they keep its choice.
@Suite("What goes over loopback is not paced") struct LoopbackPacingTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    @Test("BBR paces, in all its versions, and nothing else does")
    func names() {
        #expect(["bbr\n", "bbr2", "bbr3"].allSatisfy { LoopbackPacing.paces($0) })
        #expect(!["cubic\n", "reno", "dctcp", ""].contains { LoopbackPacing.paces($0) })
    }

    /// A socket's congestion control: the first letters of its name.
    private static func control(of channel: any Channel) async throws -> SocketOptionValue {
        try await channel.getOption(LoopbackPacing.option).get()
    }

    /// What a socket has that nobody has told anything.
    private func systemsChoice() async throws -> SocketOptionValue {
        let port = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let choice = try await Self.control(of: port)
        try await port.close()
        return choice
    }

    /// What a socket of loopback is to have.
    private func expected() async throws -> SocketOptionValue {
        try await LoopbackPacing.isSystemsChoice ? LoopbackPacing.reno : systemsChoice()
    }

    @Test("the kernel knows the name by which it is told")
    func name() async throws {
        let port = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        try await port.setOption(LoopbackPacing.option, value: LoopbackPacing.reno).get()
        #expect(try await Self.control(of: port) == LoopbackPacing.reno)
        #expect(withUnsafeBytes(of: LoopbackPacing.reno) { $0.starts(with: "reno".utf8) })
        try await port.close()
    }

    /// Visitors have it from a public port on loopback, and those of one on all addresses where they come by loopback.
    @Test("a public port, where it is on loopback, and its visitors", arguments: ["127.0.0.1", "0.0.0.0"])
    func visitors(address: String) async throws {
        let (visitors, came) = AsyncStream.makeStream(of: (any Channel).self)
        let port = try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try SocketOptions.publicPort(channel, at: address) }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.visitor(channel)
                    came.yield(channel)
                }
            }
            .bind(host: address, port: 0).get()
        let visitor = try TCPSocket(port: UInt16(#require(port.localAddress?.port)))
        var arrivals = visitors.makeAsyncIterator()
        let channel = try #require(await arrivals.next())
        let all = try await systemsChoice()
        let wanted = try await expected()
        #expect(try await Self.control(of: channel) == wanted)
        #expect(try await Self.control(of: port) == (address == "127.0.0.1" ? wanted : all))
        visitor.close()
        try await channel.close()
        try await port.close()
    }

    @Test(
        "a carrier that leads to loopback, and one that has come from there",
        arguments: [("127.0.0.1", true), ("localhost", true), ("192.0.2.1", false), (nil, false)] as [(String?, Bool)]
    )
    func carriers(host: String?, isLoopback: Bool) async throws {
        let service = try TCPService.echo()
        // Where it really leads makes no difference before it does.
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try SocketOptions.carrier(channel, to: host) }
            }
            .connect(host: "127.0.0.1", port: Int(service.port)).get()
        let all = try await systemsChoice()
        let wanted = try await expected()
        #expect(try await Self.control(of: channel) == (isLoopback ? wanted : all))
        // It has a peer now.
        try await channel.eventLoop.submit { try SocketOptions.carrier(channel) }.get()
        #expect(try await Self.control(of: channel) == wanted)
        try await channel.close()
    }

    @Test("a service of this machine")
    func service() async throws {
        let service = try TCPService(patience: .seconds(600)) { _ = try $0.receiveToEnd() }
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: Int(service.port))
        let socket = try await eventually("a socket is connected") { try LoopbackConnect.connected(to: address) }
        let channel = try await ClientBootstrap(group: group).withConnectedSocket(socket).get()
        let wanted = try await expected()
        #expect(try await Self.control(of: channel) == wanted)
        try await channel.close()
    }
}
#endif
