import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Tunnel

@Suite("Dialling a service of this machine") struct LoopbackDialTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Connects, or gives up after a while.
    private func connect(
        _ host: String,
        _ port: UInt16,
        timeout: TimeAmount = .seconds(20),
        cancelAfter: TimeAmount? = nil
    ) async throws -> any Channel {
        let address = try SocketAddress(ipAddress: host, port: Int(port))
        return try await loop.flatSubmit { [loop] in
            guard let dial = LoopbackDial(address, timeout: timeout, loop: loop) else {
                return loop.makeFailedFuture(ChannelError.operationUnsupported)
            }
            if let cancelAfter { loop.assumeIsolated().scheduleTask(in: cancelAfter) { dial.cancel() } }
            return dial.connect { ClientBootstrap(group: loop).withConnectedSocket($0) }
        }.get()
    }

    @Test("all of 127.0.0.0/8 and ::1 is this machine", arguments: ["127.0.0.1", "127.255.255.254", "::1"])
    func connects(host: String) async throws {
        let service = try TCPService(address: host) { _ = try $0.receiveToEnd() }
        let channel = try await connect(host, service.port)
        #expect(channel.isActive && channel.remoteAddress?.port == Int(service.port))
        try await eventually("the service has accepted it") { service.accepted == 1 }
        try await channel.close().get()
    }

    @Test(
        "other addresses are left to others",
        arguments: ["126.255.255.255", "128.0.0.1", "0.0.0.0", "::2", "::", "fe80::1"]
    )
    func others(host: String) async throws {
        await #expect(throws: ChannelError.operationUnsupported) { try await connect(host, 9) }
    }

    @Test("where nobody listens, the dial is refused")
    func refused() async throws {
        let port = try FreePorts.next()
        let error = await #expect(throws: IOError.self) { try await connect("127.0.0.1", port) }
        if case .refused? = error.map(SocketFailure.init) {} else { Issue.record("\(error as Any)") }
    }

    @Test("a service whose queue is full is waited for, until there is room in it")
    func waits() async throws {
        let service = try FullListener()
        async let channel = connect("127.0.0.1", service.port)
        try await onThread { try service.empty() }
        // The kernel asks again a second after it was not answered.
        #expect(try await channel.isActive)
        try await channel.close().get()
    }

    @Test("a service whose queue stays full is given up in time")
    func timeout() async throws {
        let service = try FullListener()
        await #expect(throws: ChannelError.connectTimeout(.milliseconds(50))) {
            try await connect("127.0.0.1", service.port, timeout: .milliseconds(50))
        }
    }

    @Test("who is not wanted any more stops waiting")
    func cancelled() async throws {
        let service = try FullListener()
        await #expect(throws: ChannelError.ioOnClosedChannel) {
            try await connect("127.0.0.1", service.port, timeout: .hours(1), cancelAfter: .milliseconds(5))
        }
    }
}
