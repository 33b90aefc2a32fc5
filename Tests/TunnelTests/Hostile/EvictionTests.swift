import TestSupport
import Testing

@testable import Mux
@testable import TunnelServer

extension HostileTests {
    /// A second process of the same client does not end a living session.
    @Suite(.serialized)
    struct EvictionTests {
        @Test("BINDs of a second process with the same instance do not affect the holder's session and port")
        func sameInstance() async throws {
            let rounds = 8
            try await RunningServer.with { server in
                let port = try FreePorts.next()
                let holder = try await onThread { NonSendable(try WirePeer.session(server.port, .alice)) }
                try await onThread { try require(try holder.value.bind(port) == nil, "the port was refused") }
                async let visit = onThread {
                    // Answers PINGs until a visitor connects.
                    let stream = try holder.value.frame(.open).header.stream
                    return (stream: stream, pings: holder.value.pingsAnswered)
                }
                try await onThread {
                    let second = try WirePeer.session(server.port, .alice)
                    for _ in 0..<rounds {
                        for tunnel in UInt16(0)..<16 { try second.send(WirePeer.bindRequest(port, tunnel: tunnel)) }
                        for _ in 0..<16 {
                            let refusal = try Refusal(second.frame(.unbound).payload, of: .unbound)
                            try require(refusal.code == .portInUse, "\(refusal)")
                        }
                    }
                    try TCPSocket(port: port).close()
                }
                let (_, pings) = try await visit
                #expect(pings < MuxLimits.leastPings, "\(pings) pings for \(rounds * 16) requests")
                #expect(server.sessions == 2)
            }
        }
    }
}
