import NIOCore
import Seal
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// Peers that hold the keys, and send anything inside valid seals.
    @Suite(.serialized)
    struct SealedMutationTests {
        private static func withServer(_ body: @Sendable (RunningServer) async throws -> Void) async throws {
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.encryption = .auto
            } _: {
                try await body($0)
            }
        }

        // MARK: Breaches inside

        /// Frames of a client that break the protocol.
        static let breaches: [(name: String, frame: [UInt8])] = [
            ("an empty frame", []), ("seven bytes", [0x30, 0, 0, 0, 0, 0, 0]),
            ("an unknown type", [0x99, 0, 0, 0, 0, 0, 0, 0]), ("a flag", [0x30, 1, 0, 0, 0, 0, 0, 0] + zeros(8)),
            ("a reserved bit", [0x30, 0, 1, 0, 0, 0, 0, 0] + zeros(8)),
            ("PING of a stream", [0x30, 0, 0, 0, 0, 0, 0, 1] + zeros(8)),
            ("PING of seven bytes", [0x30, 0, 0, 0, 0, 0, 0, 0] + zeros(7)),
            ("DATA of the session", [0x22, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("DATA of a stream that was never opened", [0x22, 0, 0, 0, 0, 0, 0, 9, 1]),
            ("DATA beyond its limit", [0x22, 0, 0, 0, 0, 0, 0, 9] + zeros(MuxLimits.maximumData + 1)),
            ("a DATAGRAM beyond its limit", [0x26, 0, 0, 0, 0, 0, 0, 9] + zeros(MuxLimits.maximumDatagram + 1)),
            ("BIND beyond its limit", [0x10, 0, 0, 0, 0, 0, 0, 0] + zeros(MuxLimits.maximumControl + 1)),
            ("the longest message", [0x22, 0, 0, 0, 0, 0, 0, 9] + zeros(Sealer.longestMessage - 8)),
            ("BIND without fields", [0x10, 0, 0, 0, 0, 0, 0, 0]),
            ("OPEN with an even number", [0x20, 0, 0, 0, 0, 0, 0, 2, 1, 0, 1, 1]),
            ("ACK of what was not sent", [0x32, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8)),
            ("AUTHENTICATE", [0x02, 0, 0, 0, 0, 0, 0, 0]), ("RESUME", [0x04, 0, 0, 0, 0, 0, 0, 0]),
            ("WELCOME", [0x03, 0, 0, 0, 0, 0, 0, 0]), ("RENEW", [0x34, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0]),
        ]

        private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

        @Test("A breach inside a message that opens ends the session, exactly as it does without a seal")
        func breaches() async throws {
            try await Self.withServer { server in
                for (name, frame) in Self.breaches {
                    let ends = try await onThread {
                        try [false, true].map { isSealed in
                            let (peer, _) = try WirePeer.sealedSession(
                                server.port,
                                .alice,
                                encryption: isSealed ? .anyKey : .off
                            )
                            try peer.socket.send(peer.wire(frame))
                            let (code, frames, _) = try peer.readToEnd()
                            let goAway = frames.last { $0.header.type == .goAway }
                            let reason = try goAway.map { try Refusal($0.payload, of: .goAway).code }
                            return "\(reason as Any) \(code as Any)"
                        }
                    }
                    #expect(ends[0] == ends[1], "\(name)")
                    #expect(ends[1].contains("protocol violation"), "\(name): \(ends[1])")
                    try await eventually("\(name): the session has ended") { server.sessions == 0 }
                }
                #expect(server.log.count("altered") == 0)
            }
        }

        @Test("Messages that do not open end the carrier alone: the session resumes")
        func doesNotOpen() async throws {
            let messages: [[UInt8]] = [
                [], randomBytes(15), randomBytes(16), randomBytes(300), randomBytes(65_535), randomBytes(65_536),
                randomBytes(70_000),
            ]
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.limits.grace = .seconds(60)
            } _: { server in
                try await onThread {
                    var (peer, ticket) = try WirePeer.sealedSession(server.port, .alice)
                    try require(try peer.bind(FreePorts.next()) == nil, "the port was not bound")
                    for (index, message) in messages.enumerated() {
                        try peer.socket.send(RawFrame(payload: message).wire(mask: [1, 2, 3, 4]))
                        let (_, frames, _) = try peer.readToEnd()
                        try require(
                            !frames.contains { $0.header.type == .goAway },
                            "GOAWAY after \(message.count) bytes"
                        )
                        peer = try WirePeer.sealedResume(server.port, .alice, ticket, epoch: UInt64(index + 1))
                    }
                    // The keys of the last carrier work in both directions.
                    try peer.send(OutboundFrame(.ping, number: 77))
                    try require(try peer.frame(.pong).number == 77, "another PONG")
                    try peer.endSession()
                }
                #expect(server.log.count("session opened") == 1)
            }
        }

        @Test("Frames in clear right behind a valid RESUME are not believed, and cost the carrier alone")
        func behindResume() async throws {
            let forged: [RawFrame] = [
                RawFrame(payload: [0x22, 0, 0, 0, 0, 0, 0, 2] + Array("forged".utf8)),
                RawFrame(payload: [0x33, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 6, 2, 0, 0]),
                RawFrame(payload: [0x99, 0, 0, 0, 0, 0, 0, 0]), RawFrame(head: 0x83, payload: []),
            ]
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.limits.grace = .seconds(60)
            } _: { server in
                try await onThread {
                    let (first, ticket) = try WirePeer.sealedSession(server.port, .alice)
                    let port = try FreePorts.next()
                    try require(try first.bind(port) == nil, "the port was not bound")
                    let visitor = try TCPSocket(port: port)
                    let stream = try first.frame(.open).header.stream
                    try first.send(OutboundFrame(.accept, stream), OutboundFrame(.ping, number: 5))
                    _ = try first.frame(.pong)
                    // The connections are on several event loops, of which one is the session's.
                    for epoch in UInt64(1)...24 {
                        let peer = try WirePeer.dial(server.port)
                        let (_, resume) = try peer.resumption(.alice, ticket, epoch: epoch, received: 0)
                        let frame = forged[Int(epoch) % forged.count]
                        try peer.socket.send(try peer.encode(resume) + frame.wire(mask: [1, 2, 3, 4]))
                        _ = try peer.socket.drain()
                    }
                    let last = try WirePeer.sealedResume(server.port, .alice, ticket, epoch: 100)
                    try last.send(OutboundFrame(.data, stream, ByteBuffer(string: "real")), OutboundFrame(.end, stream))
                    try require(try visitor.receiveToEnd() == Array("real".utf8), "other bytes at the visitor")
                }
                #expect(server.log.count("session opened") == 1 && server.log.count("session ended") == 0)
            }
        }

        // MARK: Mutations

        @Test("100 sessions with mutated frames inside valid seals leave no session, and do not affect another client")
        func mutatedClients() async throws {
            let (service, datagrams) = (try TCPService.echo(), try UDPSocket())
            let destinations = ["127.0.0.1:\(service.port)/tcp", "127.0.0.1:\(datagrams.port)/udp"]
            let own = try FreePorts.next()
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.encryption = .required
                configuration.clients[0].destinations = destinations.compactMap { DestinationRule($0) }
            } _: { server in
                try await RunningClient.with(.bob, server.port, "\(own):127.0.0.1:\(service.port)") { configuration in
                    configuration.encryption = .required
                } _: { client in
                    _ = try await client.tunnels.next("Bob's tunnel is public")
                    for seed in 0..<UInt64(100) {
                        try await onThread {
                            try Self.attack(server.port, (service.port, datagrams.port), seed: seed)
                        }
                    }
                    try await onThread {
                        let visitor = try TCPSocket(port: own)
                        let bytes = randomBytes(10_000)
                        try visitor.send(bytes)
                        try visitor.finishSending()
                        try require(try visitor.receiveToEnd() == bytes, "Bob's echo is wrong")
                    }
                    try await eventually("only Bob's session is left") { server.sessions == 1 }
                    #expect(client.ends.all.isEmpty)
                    #expect(client.log.count("session lost") == 0)
                }
                #expect(server.log.count("altered") == 0, "all messages open")
            }
        }

        /// Runs one session with mutated frames in valid seals.
        private static func attack(_ endpoint: UInt16, _ destinations: (tcp: UInt16, udp: UInt16), seed: UInt64) throws
        {
            var generator = SplitMix(state: seed)
            let (peer, _) = try WirePeer.sealedSession(endpoint, .alice, instance: UInt8(truncatingIfNeeded: seed))
            let port = try FreePorts.next()
            let visitor = try peer.bind(port) == nil ? try TCPSocket(port: port) : nil
            let stream = try visitor == nil ? StreamID(2) : peer.frame(.open).header.stream
            do {
                let frames = HostileTests.MutationTests.traffic(stream, destinations)
                let mutated = WireMutation.mutatedFrames(frames, &generator)
                let wire = try mutated.flatMap { frame in
                    try peer.wire(frame, cuts: Bool.random(using: &generator) ? [] : [3, 0, 9])
                }
                try peer.socket.send(wire)
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

        @Test("50 sessions of a server with mutated frames inside valid seals trap no client")
        func mutatedServers() async throws {
            let (service, datagrams) = (try TCPService.echo(), try UDPSocket())
            for seed in 0..<UInt64(50) {
                let (hasEnded, isGranted) = (Mailbox<Void>(), Mailbox<Void>())
                let server = try HostileServer { peer in
                    defer { hasEnded.put(()) }
                    // The client's next dials.
                    guard isGranted.all.isEmpty else { return }
                    try peer.grantSealed(SealedTunnel.key)
                    isGranted.put(())
                    _ = try peer.frame(.bind)
                    var generator = SplitMix(state: seed)
                    do {
                        let frames = WireMutation.mutatedFrames(
                            HostileTests.ClientMutationTests.traffic(),
                            &generator
                        )
                        try peer.socket.send(try frames.flatMap { try peer.wire($0) })
                        if generator.next() % 4 == 0 { return peer.socket.abort() }
                        try peer.socket.finishSending()
                        _ = try peer.readToEnd()
                    } catch let error as SocketError where error != .timedOut {
                        // The client has closed the connection.
                    }
                }
                try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:\(service.port)") { configuration in
                    configuration.encryption = .required
                    configuration.tunnels += try TunnelSpec.list("8023:127.0.0.1:\(datagrams.port)/udp")
                } _: { client in
                    _ = try await hasEnded.next("seed \(seed): the session has ended")
                    #expect(client.log.count("altered") == 0, "seed \(seed)")
                }
            }
            for (name, port) in [("tcp", service.port), ("udp", datagrams.port)] {
                try await eventually("no service's socket is left") { try sockets(to: port, name).isEmpty }
            }
            #expect(service.accepted > 10, "streams reached the service")
        }
    }
}

extension WirePeer {
    /// A frame, given as bytes, as a message of this end: sealed if the carrier is, masked by a client.
    ///
    /// - Parameter cuts: the lengths of its first fragments.
    func wire(_ frame: [UInt8], cuts: [Int] = []) throws -> [UInt8] {
        let message = try seal.map { Array(try $0.seal(frame).readableBytesView) } ?? frame
        let mask: [UInt8]? = role == .client ? [9, 8, 7, 6] : nil
        return RawFrame.fragments(message, cuts).flatMap { $0.wire(mask: mask) }
    }
}
