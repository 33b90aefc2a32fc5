import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// What was recorded on the path, played again.
    @Suite(.serialized)
    struct ReplayTests {
        /// Plays messages of a client to the server, each as it was, behind a new challenge.
        ///
        /// - Parameter answers: the frames of the server to wait for, beside its challenge.
        /// - Returns: all frames of the server.
        private static func play(_ messages: [[UInt8]], to port: UInt16, answers: Int) async throws -> [InboundFrame] {
            try await onThread {
                let peer = try WirePeer.dial(port)
                // A server that closes with bytes unread resets the connection, and what it has sent may be lost.
                var frames = [try peer.frame(.challenge)]
                do {
                    for message in messages {
                        try peer.socket.send(RawFrame(payload: message).wire(mask: randomBytes(4)))
                    }
                    while frames.count <= answers, case .frame(let frame) = try peer.next() { frames.append(frame) }
                    try peer.socket.finishSending()
                    frames += try peer.readToEnd().frames
                } catch let error as SocketError where error != .timedOut {
                    // The server has closed the connection.
                }
                return frames
            }
        }

        /// Whether a message is a frame of this type in clear. The first byte of a sealed one is any.
        private static func isHandshake(_ message: [UInt8], _ type: FrameType) -> Bool {
            message.starts(with: [type.rawValue, 0, 0, 0, 0, 0, 0, 0])
        }

        @Test(
            "A recorded opening, RESUME or whole carrier leads to no session and no byte"
        )
        func recordedClient() async throws {
            let wrong = Mailbox<String>()
            let service = try Pattern.echo(wrong: wrong)
            try await SealedTunnel.with(isRecording: true, service: service) { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 50_000 }
                tunnel.relay.cutAll()
                let before = visitor.bytes
                try await eventually("the session has resumed") { visitor.bytes > before + 50_000 }
                let sent = tunnel.relay.heard(.toServer)
                let resume = try #require(sent.firstIndex { Self.isHandshake($0, .resume) })
                let opening = sent[..<resume]
                #expect(opening.first?.first == FrameType.authenticate.rawValue && opening.count > 5)
                let visitors = service.accepted
                // A whole carrier, its first message, its beginning; the same of the second carrier, and of both.
                let wrong = RefusalCode.credentials
                let recordings: [([[UInt8]], [RefusalCode])] = [
                    (Array(opening), [wrong]), (Array(opening.prefix(1)), [wrong]), (Array(opening.prefix(5)), [wrong]),
                    // The session lives: its own client tries again, and must not be sent away.
                    (Array(sent[resume...]), []), ([sent[resume]], []), ([sent[resume], sent[0]], []),
                    ([sent[resume], sent[resume]], []),
                ]
                for (recording, refusals) in recordings {
                    let answers = try await Self.play(recording, to: tunnel.server.port, answers: refusals.count)
                    #expect(answers.first?.header.type == .challenge)
                    #expect(answers.dropFirst().allSatisfy { $0.header.type == .refused })
                    let codes = try answers.dropFirst().map { try Refusal($0.payload, of: .refused).code }
                    // What follows a wrong AUTHENTICATE may end the connection before the answer.
                    let isRight = refusals.isEmpty ? codes.isEmpty : codes.starts(with: refusals)
                    #expect(isRight || codes.isEmpty && recording.count > 1, "\(codes)")
                }
                #expect(tunnel.server.log.count("notice session opened") == 1)
                #expect(tunnel.server.log.count("session resumed") <= 1)
                #expect(service.accepted == visitors)
                // The live session has noticed nothing.
                let after = visitor.bytes
                try await eventually("bytes come back") { visitor.bytes > after + 50_000 }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session resumed") == 1)
            }
            #expect(wrong.all.isEmpty)
        }

        @Test("A recorded RESUMED costs a client that resumes one carrier, and neither its session nor a byte")
        func recordedResumed() async throws {
            try await SealedTunnel.with(isRecording: true) { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 20_000 }
                tunnel.relay.cutAll()
                let resumed = try await eventually("the session resumes") {
                    tunnel.relay.heard(.toClient).first { Self.isHandshake($0, .resumed) }
                }
                let before = visitor.bytes
                try await eventually("bytes come back") { visitor.bytes > before + 20_000 }
                tunnel.relay.perform([PathAttack(direction: .toClient, position: 1, act: .replace(resumed))])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(1)
                let after = visitor.bytes
                try await eventually("bytes come back") { visitor.bytes > after + 20_000 }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session opened") == 1)
                #expect(tunnel.client.log.count("notice session resumed") == 2)
                #expect(tunnel.client.log.count("altered on the way") == 1)
                #expect(tunnel.relay.accepted == 4)
            }
        }

        @Test("What a server has sent once, with its own challenge, leads a client to no session")
        func recordedServer() async throws {
            let recorded = Mailbox<[[UInt8]]>()
            try await SealedTunnel.with(isRecording: true) { tunnel in
                try await tunnel.requireVisitor()
                recorded.put(tunnel.relay.heard(.toClient))
            }
            let messages = try #require(recorded.all.first)
            let received = Mailbox<InboundFrame>()
            let rogue = try HostileServer { peer in
                try peer.socket.send(RawFrame(payload: messages[0]).wire(mask: nil))
                received.put(try peer.frame(.authenticate, .resume))
                for message in messages.dropFirst() { try peer.socket.send(RawFrame(payload: message).wire(mask: nil)) }
                _ = try? peer.readToEnd()
            }
            try await RunningClient.with(.alice, rogue.port, "8022:127.0.0.1:9") { configuration in
                configuration.encryption = .required
            } _: { client in
                try await eventually("the client says why it tries again") {
                    client.log.count("altered on the way") >= 1
                }
                #expect(client.log.count("session opened") == 0 && client.ends.all.isEmpty)
                #expect(received.all.count >= 1)
            }
        }
    }
}
