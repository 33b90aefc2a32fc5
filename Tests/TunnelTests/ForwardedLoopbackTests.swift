import NetworkAddress
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelServer

@Suite("A loopback address reported by a front")
struct ForwardedLoopbackTests {
    @Test("It has the slots of one address, like any other", arguments: ["127.0.0.9", "::1", "::ffff:127.0.0.9"])
    func counted(address: String) async throws {
        let configure: (inout ServerConfiguration) -> Void = {
            $0.trustedFronts = TrustedFronts(blocks: [CIDRBlock("127.0.0.1/32")].compactMap { $0 })
            $0.serverLimits.strangersPerAddress = 2
        }
        try await RunningServer.with(configure) { server in
            try await onThread {
                let request = WirePeer.upgradeRequest.replacing(
                    "Host:",
                    with: "X-Forwarded-For: \(address)\r\nHost:",
                    maxReplacements: 1
                )
                let places = try (0..<3).map { _ in
                    let socket = try TCPSocket(port: server.port)
                    try socket.send(request)
                    return (socket, String(decoding: try socket.receive(), as: UTF8.self).prefix(12))
                }
                let answers = places.map(\.1)
                try require(answers == ["HTTP/1.1 101", "HTTP/1.1 101", "HTTP/1.1 503"], "\(answers)")
            }
        }
    }
}
