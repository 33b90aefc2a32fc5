import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

#if os(Linux)
@Suite("Services of this machine are connected to at once") struct LoopbackConnectTests {
    private func connected(_ host: String, _ port: UInt16) throws -> NIOBSDSocket.Handle? {
        try LoopbackConnect.connected(to: SocketAddress(ipAddress: host, port: Int(port)))
    }

    private func openDescriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    @Test("all of 127.0.0.0/8 and ::1 is this machine", arguments: ["127.0.0.1", "127.255.255.254", "::1"])
    func connects(host: String) async throws {
        guard host != "::1" || TCPService.hasIPv6 else { return }
        let service = try TCPService(address: host, timeout: .seconds(600)) { _ = try $0.receiveToEnd() }
        // A kernel that is busy takes longer once in a while.
        let socket = try await eventually("a socket is connected") { try connected(host, service.port) }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .withConnectedSocket(socket).get()
        #expect(channel.isActive && channel.remoteAddress?.port == Int(service.port))
        try await eventually("the service has accepted it") { service.accepted >= 1 }
        try await channel.close().get()
    }

    @Test(
        "other addresses are left to others",
        arguments: ["126.255.255.255", "128.0.0.1", "0.0.0.0", "::2", "::", "fe80::1", "::ffff:127.0.0.1"]
    )
    func others(host: String) throws {
        let service = try TCPService.listening(on: 0)
        #expect(try connected(host, service.port) == nil)
    }

    @Test("where nobody listens, that is said")
    func refused() async throws {
        let port = try FreePorts.next()
        try await eventually("it is refused") {
            do {
                return try connected("127.0.0.1", port) != nil
            } catch let error as IOError {
                guard case .refused = SocketFailure(error) else { throw error }
                return true
            }
        }
    }

    @Test("a service whose queue is full is not waited for, and no descriptor is left, there or where nobody listens")
    func full() throws {
        let service = try FullListener()
        #expect(try connected("127.0.0.1", service.port) == nil)
        let before = try openDescriptors()
        let nobody = try FreePorts.next()
        for _ in 0..<2_000 {
            _ = try connected("127.0.0.1", service.port)
            _ = try? connected("127.0.0.1", nobody)
        }
        // Other tests open some meanwhile.
        #expect(try openDescriptors() < before + 1_000)
    }
}
#endif
