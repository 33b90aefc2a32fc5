import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient

extension HostileTests {
    /// Servers whose valid sessions have random mutations.
    @Suite(.serialized)
    struct ClientMutationTests {
        private static let sessions: UInt64 = 100

        @Test("100 mutated sessions of a server trap no client, and leave no socket to a service")
        func mutatedSessions() async throws {
            let (service, datagrams) = (try TCPService.echo(), try UDPSocket())
            for seed in 0..<Self.sessions {
                let (hasEnded, isGranted) = (Mailbox<Void>(), Mailbox<Void>())
                let server = try HostileServer { peer in
                    defer { hasEnded.put(()) }
                    // The client's next dials.
                    guard isGranted.all.isEmpty else { return }
                    try peer.send(peer.grant())
                    isGranted.put(())
                    _ = try peer.frame(.bind)
                    var generator = SplitMix(state: seed)
                    do {
                        try peer.socket.send(WireMutation.mutated(Self.traffic(), peer, &generator))
                        if generator.next() % 4 == 0 { return peer.socket.abort() }
                        try peer.socket.finishSending()
                        _ = try peer.readToEnd()
                    } catch let error as SocketError where error != .timedOut {
                        // The client has closed the connection.
                    }
                }
                try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:\(service.port)") { configuration in
                    configuration.tunnels += try TunnelSpec.list("8023:127.0.0.1:\(datagrams.port)/udp")
                } _: { client in
                    _ = try await hasEnded.next("seed \(seed): the session has ended")
                }
            }
            for (name, port) in [("tcp", service.port), ("udp", datagrams.port)] {
                try await eventually("no service's socket is left") { try sockets(to: port, name).isEmpty }
            }
            #expect(service.accepted > 20, "streams reached the service")
        }

        /// Valid frames of a server after the client's BINDs.
        static func traffic() -> [OutboundFrame] {
            let (bytes, flow) = (StreamID(2), StreamID(4))
            return [
                WirePeer.bound(), Binding(tunnel: 1, address: "127.0.0.1", port: 8_023).frame, .ping(7),
                WirePeer.open(2), OutboundFrame(.data, bytes, ByteBuffer(string: "some bytes for the service")),
                OutboundFrame(.credit, bytes, number: 131_072),
                OpenRequest(tunnel: 1, kind: .udp, visitor: "192.0.2.1:2").frame(flow),
                OutboundFrame(.datagram, flow, ByteBuffer(string: "a datagram")),
                OutboundFrame(.end, bytes, number: 26), OutboundFrame(.ack, number: 1),
                ResetCode.timeout.frame(flow, after: 0), WirePeer.renew(within: 5), OutboundFrame(.pong, number: 1),
                Refusal(.goingAway, "as asked").frame(.unbound, tunnel: 1),
                WirePeer.goAway(.goingAway),
            ]
        }
    }
}
