import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelCore

extension HostileTests {
    /// Valid sessions with random mutations.
    @Suite(.serialized)
    struct MutationTests {
        private static let batches: UInt64 = 10
        private static let sessionsInBatch: UInt64 = 20

        @Test("200 mutated sessions leave no session, port or socket, and do not affect another client's streams")
        func mutatedSessions() async throws {
            let (service, datagrams) = (try TCPService.echo(), try UDPSocket())
            let destinations = ["127.0.0.1:\(service.port)/tcp", "127.0.0.1:\(datagrams.port)/udp"]
            let ports = try (0...Self.batches).map { _ in try FreePorts.next() }
            let own = ports[0]
            try await RunningServer.with { configuration in
                configuration.clients[0].destinations = destinations.compactMap { DestinationRule($0) }
            } _: { server in
                try await RunningClient.with(.bob, server.port, "\(own):127.0.0.1:\(service.port)") { client in
                    _ = try await client.tunnels.next("Bob's tunnel is public")
                    try await onThread { try Self.requireEcho(own) }
                    for batch in 1...Self.batches {
                        try await onThread {
                            for index in 0..<Self.sessionsInBatch {
                                try Self.attack(
                                    server.port,
                                    ports[Int(batch)],
                                    (service.port, datagrams.port),
                                    seed: batch << 32 | index
                                )
                            }
                            try Self.requireEcho(own)
                        }
                    }
                    try await eventually("only Bob's session is left") { server.sessions == 1 }
                    // The sockets are the carrier, the public port and the endpoint.
                    let found: @Sendable () -> String = { "\((try? sockets([server.port] + ports)) ?? [])" }
                    try await eventually("the server holds three sockets", found: found) {
                        try sockets([server.port] + ports).count == 3
                    }
                    for (name, port) in [("tcp", service.port), ("udp", datagrams.port)] {
                        try await eventually("no destination's socket is left") {
                            try sockets(to: port, name).isEmpty
                        }
                    }
                    #expect(client.ends.all.isEmpty)
                    #expect(client.log.count("session lost") == 0)
                }
                try await eventually("no session is left") { server.sessions == 0 }
                try await onThread {
                    let peer = try WirePeer.session(server.port, .bob)
                    for (tunnel, port) in ports.enumerated() {
                        let refusal = try peer.bind(port, tunnel: UInt16(tunnel))
                        try require(refusal == nil, "port \(port) of batch \(tunnel) is still held: \(refusal as Any)")
                    }
                }
            }
        }

        /// Requires an echo through Bob's tunnel.
        private static func requireEcho(_ port: UInt16) throws {
            let visitor = try TCPSocket(port: port)
            let bytes = randomBytes(10_000)
            try visitor.send(bytes)
            try visitor.finishSending()
            try require(try visitor.receiveToEnd() == bytes, "Bob's echo is wrong")
        }

        /// Runs one mutated session with a visitor at `port`.
        private static func attack(
            _ endpoint: UInt16,
            _ port: UInt16,
            _ destinations: (tcp: UInt16, udp: UInt16),
            seed: UInt64
        ) throws {
            var generator = SplitMix(state: seed)
            let peer = try WirePeer.session(endpoint, .alice, instance: UInt8(truncatingIfNeeded: seed))
            // The previous session's claim may not be released yet.
            let isBound = try peer.bind(port) == nil
            let visitor = isBound ? try TCPSocket(port: port) : nil
            let stream = isBound ? try peer.frame(.open).header.stream : StreamID(2)
            do {
                let frames = traffic(stream, destinations)
                try peer.socket.send(WireMutation.mutated(frames, peer, &generator))
                if generator.next() % 4 == 0 { return peer.socket.abort() }
                try peer.socket.finishSending()
                _ = try peer.readToEnd()
            } catch let error as SocketError where error != .timedOut {
                // The server has closed the connection.
            } catch {
                throw ScenarioFailure(description: "seed \(seed): \(error)")
            }
            withExtendedLifetime(visitor) {}
        }

        /// Valid frames of a client after a visitor has connected on `stream`.
        static func traffic(_ stream: StreamID, _ destinations: (tcp: UInt16, udp: UInt16)) -> [OutboundFrame] {
            let (bytes, flow) = (StreamID(1), StreamID(3))
            return [
                WirePeer.bindRequest(0, tunnel: 1),
                BindRequest(tunnel: 2, address: "127.0.0.1", port: 0, kind: .udp).frame,
                TunnelState(tunnel: 0, isUp: false, reason: "it refused").frame,
                OutboundFrame(.accept, stream),
                OutboundFrame(.data, stream, ByteBuffer(string: "some bytes for the visitor")),
                OutboundFrame(.credit, stream, number: 131_072), OutboundFrame(.ping, number: 7),
                OpenRequest(destination: "127.0.0.1:\(destinations.tcp)", visitor: "127.0.0.1:1").frame(bytes),
                OutboundFrame(.data, bytes, ByteBuffer(string: "some bytes for the destination")),
                OpenRequest(destination: "127.0.0.1:\(destinations.udp)", kind: .udp, visitor: "127.0.0.1:1").frame(
                    flow
                ),
                OutboundFrame(.datagram, flow, ByteBuffer(string: "a datagram")),
                OutboundFrame(.end, bytes, number: 30), ResetCode.connectionReset.frame(flow, after: 0),
                OutboundFrame(.ack, number: 2), OutboundFrame(.end, stream, number: 26),
                ResetCode.connectionReset.frame(StreamID(stream.rawValue + 2), after: 0),
                Unbinding(tunnel: 1).frame,
                OutboundFrame(.pong, number: 1),
                WirePeer.goAway(.goingAway),
            ]
        }
    }
}
