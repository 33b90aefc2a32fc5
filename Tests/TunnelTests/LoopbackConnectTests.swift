import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

#if os(Linux)
@Suite("Immediate connects to services on loopback") struct LoopbackConnectTests {
    private func connected(_ host: String, _ port: UInt16) throws -> NIOBSDSocket.Handle? {
        try LoopbackConnect.connected(to: SocketAddress(ipAddress: host, port: Int(port)))
    }

    private func openDescriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    @Test("127.0.0.0/8 and ::1 are connected immediately", arguments: ["127.0.0.1", "127.255.255.254", "::1"])
    func connects(host: String) async throws {
        guard host != "::1" || TCPService.hasIPv6 else { return }
        let service = try TCPService(address: host, timeout: .seconds(600)) { _ = try $0.receiveToEnd() }
        // A busy kernel sometimes takes longer.
        let socket = try await eventually("a socket is connected") { try connected(host, service.port) }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .withConnectedSocket(socket).get()
        #expect(channel.isActive && channel.remoteAddress?.port == Int(service.port))
        try await eventually("the service has accepted the connection") { service.accepted >= 1 }
        try await channel.close().get()
    }

    @Test(
        "Other addresses are not connected immediately",
        arguments: ["126.255.255.255", "128.0.0.1", "0.0.0.0", "::2", "::", "fe80::1", "::ffff:127.0.0.1"]
    )
    func others(host: String) throws {
        let service = try TCPService.listening(on: 0)
        #expect(try connected(host, service.port) == nil)
    }

    @Test("A refused connect is reported")
    func refused() async throws {
        let port = try FreePorts.next()
        try await eventually("the connect is refused") {
            do {
                return try connected("127.0.0.1", port) != nil
            } catch let error as IOError {
                guard case .refused = SocketFailure(error) else { throw error }
                return true
            }
        }
    }

    @Test("A connect to a full or missing listener does not wait and leaks no descriptor")
    func full() throws {
        let service = try FullListener()
        #expect(try connected("127.0.0.1", service.port) == nil)
        let before = try openDescriptors()
        let unusedPort = try FreePorts.next()
        for _ in 0..<2_000 {
            _ = try connected("127.0.0.1", service.port)
            _ = try? connected("127.0.0.1", unusedPort)
        }
        // Other tests open descriptors at the same time.
        #expect(try openDescriptors() < before + 1_000)
    }
}
#endif
