import NIOCore
import Seal
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// A path or a server that takes the seal away.
    @Suite(.serialized)
    struct DowngradeTests {
        /// Runs a client that requires the seal against a scripted server.
        ///
        /// - Returns: its end.
        private static func end(
            keys: [ServerPublicKey] = [],
            encryption: EncryptionPolicy = .required,
            _ script: @escaping @Sendable (WirePeer) throws -> Void
        ) async throws -> String {
            let server = try HostileServer(script)
            let ends = Mailbox<String>()
            try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:9") { configuration in
                configuration.encryption = encryption
                configuration.serverKeys = keys
            } _: { client in
                ends.put(try await client.ends.next("the client has ended"))
                #expect(client.log.count("session opened") == 0)
            }
            return ends.all.first ?? ""
        }

        private static func challenge(key: ServerKey?) -> OutboundFrame {
            ServerHandshake(nonce: randomBytes(32), software: "wire/1", key: key).challenge
        }

        @Test("A CHALLENGE without a key ends a client that wants the seal with 77, and it sends nothing")
        func noKey() async throws {
            let answers = Mailbox<Int>()
            let end = try await Self.end { peer in
                try peer.send(Self.challenge(key: nil))
                answers.put(try peer.readToEnd().frames.count)
            }
            #expect(end.hasPrefix("refused: ") && end.contains("does not seal sessions"), "\(end)")
            #expect(end.contains("--encryption off"), "\(end)")
            #expect(try await answers.next("the connection has ended") == 0)
        }

        @Test("Another key than the pinned one ends a client with 77 and both fingerprints, and it sends nothing")
        func anotherKey() async throws {
            let (pinned, shown) = (ServerKey(), ServerKey())
            let answers = Mailbox<Int>()
            let end = try await Self.end(keys: [pinned.publicKey]) { peer in
                try peer.send(Self.challenge(key: shown))
                answers.put(try peer.readToEnd().frames.count)
            }
            #expect(end.hasPrefix("refused: ") && end.contains("--server-key"), "\(end)")
            #expect(end.contains(pinned.publicKey.fingerprint) && end.contains(shown.publicKey.fingerprint), "\(end)")
            #expect(try await answers.next("the connection has ended") == 0)
        }

        @Test("The right key shown by a server that does not hold it, and does not know the token, is of no use")
        func keyOfAnother() async throws {
            let key = ServerKey()
            let server = try HostileServer { peer in
                try peer.send(Self.challenge(key: key))
                _ = try peer.frame(.authenticate)
                try peer.send(Self.clearWelcome())
                _ = try? peer.readToEnd()
            }
            try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:9") { configuration in
                configuration.encryption = .required
                configuration.serverKeys = [key.publicKey]
            } _: { client in
                // Something on the way may have altered the answer, so the client tries again.
                try await eventually("the client says why") { client.log.count("answer is not sealed") >= 1 }
                #expect(client.log.count("session opened") == 0 && client.ends.all.isEmpty)
            }
        }

        private static func clearWelcome() -> OutboundFrame {
            var fields = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: 60).unproved
            fields.append(FieldReader.proofTag, randomBytes(32))
            return OutboundFrame(.welcome, .session, fields.bytes)
        }

        @Test("AUTHENTICATE in clear to a server that requires the seal is refused with the code for it")
        func clearAuthenticate() async throws {
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.encryption = .required
            } _: { server in
                try await onThread {
                    let peer = try WirePeer.dial(server.port)
                    let (_, authenticate) = try peer.authentication(.alice)
                    try peer.send(authenticate)
                    let (code, frames, _) = try peer.readToEnd()
                    guard let refused = frames.last else { throw ScenarioFailure(description: "no answer") }
                    try require(try Refusal(refused.payload, of: .refused).code == .encryption, "another refusal")
                    try require(code == .policyViolation, "closed with \(code as Any)")
                }
                #expect(server.log.count("session opened") == 0)
            }
        }

        @Test("--encryption off at a server that requires the seal ends the client with 77 and the remedy")
        func clientWithoutSeal() async throws {
            try await RunningServer.with { configuration in
                configuration.serverKey = SealedTunnel.key
                configuration.encryption = .required
            } _: { server in
                try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:9") { configuration in
                    configuration.encryption = .off
                } _: { client in
                    let end = try await client.ends.next("the client has ended")
                    #expect(end.hasPrefix("refused: ") && end.contains("--encryption auto or required"), "\(end)")
                }
            }
        }

        // MARK: On the path

        /// Frames in clear in place of WELCOME, and the client's end. Nil: it dials again, and has its session.
        static let inPlaceOfWelcome: [(frame: OutboundFrame, end: String?)] = [
            (DowngradeTests.clearWelcome(), nil),
            (Refusal(.credentials, "forged").frame(.refused), "refused: "),
            (Refusal(.encryption, "forged").frame(.refused), "refused: "),
            (Refusal(.version, "forged").frame(.refused), "not ours: "),
            (Refusal(.protocolViolation, "forged").frame(.refused), "not ours: "),
            (Refusal(.busy, "forged").frame(.refused), nil), (Refusal(.unknownSession, "forged").frame(.refused), nil),
            (Refusal(.replaced, "forged").frame(.refused), nil),
        ]

        @Test("A frame in clear in place of WELCOME begins no session", arguments: inPlaceOfWelcome.indices)
        func clearWelcome(index: Int) async throws {
            let (frame, expected) = Self.inPlaceOfWelcome[index]
            let attack = PathAttack(direction: .toClient, position: 1, act: .replace(try WirePeer.bytes(of: frame)))
            try await SealedTunnel.with(attacks: [attack], isWaited: false) { tunnel in
                if let expected {
                    let end = try await tunnel.client.ends.next("the client has ended")
                    #expect(end.hasPrefix(expected), "\(end)")
                    #expect(tunnel.client.log.count("notice session opened") == 0)
                } else {
                    _ = try await tunnel.client.tunnels.next("the tunnel is public")
                    #expect(tunnel.relay.accepted >= 2)
                    try await tunnel.requireVisitor()
                }
            }
        }

        /// Frames in clear in place of RESUMED.
        static let inPlaceOfResumed: [OutboundFrame] = [
            OutboundFrame(
                .resumed,
                .session,
                ByteBuffer(bytes: [1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0, 32] + randomBytes(32))
            ),
            Refusal(.credentials, "forged").frame(.refused), Refusal(.encryption, "forged").frame(.refused),
            Refusal(.unknownSession, "forged").frame(.refused), Refusal(.replaced, "forged").frame(.refused),
            Refusal(.busy, "forged", retryAfter: 1).frame(.refused), clearWelcome(),
        ]

        @Test(
            "A frame in clear in place of RESUMED does not end the session: its streams go on with each byte",
            arguments: inPlaceOfResumed.indices
        )
        func clearResumed(index: Int) async throws {
            let frame = Self.inPlaceOfResumed[index]
            let attack = PathAttack(direction: .toClient, position: 1, act: .replace(try WirePeer.bytes(of: frame)))
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 20_000 }
                tunnel.relay.perform([attack, attack])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(2)
                let before = visitor.bytes
                try await eventually("bytes come back", found: { "\(visitor.outcomes.all)" }) {
                    visitor.bytes > before + 20_000
                }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session opened") == 1)
            }
        }

        @Test(
            "A path that keeps RESUME back and denies the session in the server's place does not end it: its streams go on"
        )
        func sessionDenied() async throws {
            let denied = try WirePeer.bytes(of: Refusal(.unknownSession, "forged").frame(.refused))
            let attack = PathAttack(direction: .toServer, position: 0, act: .answer(denied))
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 20_000 }
                tunnel.relay.perform([attack, attack, attack])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(3)
                let before = visitor.bytes
                try await eventually("bytes come back", found: { "\(visitor.outcomes.all)" }) {
                    visitor.bytes > before + 20_000
                }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("notice session opened") == 1)
                #expect(tunnel.server.log.count("notice session opened") == 1)
                #expect(tunnel.client.log.count("warning the connection is being altered in transit") == 1)
            }
        }

        @Test(
            "After a session has worked, a CHALLENGE without a key is no end: the session goes on once the path is right"
        )
        func keyRemovedLater() async throws {
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 20_000 }
                let challenge = try WirePeer.bytes(of: Self.challenge(key: nil))
                let attack = PathAttack(direction: .toClient, position: 0, act: .replace(challenge))
                tunnel.relay.perform([attack, attack, attack])
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(3)
                let before = visitor.bytes
                try await eventually("bytes come back") { visitor.bytes > before + 20_000 }
                guard case .exact = try await visitor.finish() else {
                    throw ScenarioFailure(description: "the visitor's stream is broken")
                }
                #expect(tunnel.client.log.count("does not seal sessions") >= 1)
            }
        }

        @Test("After a session has worked, another key in the CHALLENGE ends the client with 77")
        func keyChangedLater() async throws {
            try await SealedTunnel.with { tunnel in
                try await tunnel.requireVisitor()
                let challenge = try WirePeer.bytes(of: Self.challenge(key: ServerKey()))
                tunnel.relay.perform([PathAttack(direction: .toClient, position: 0, act: .replace(challenge))])
                tunnel.relay.cutAll()
                let end = try await tunnel.client.ends.next("the client has ended")
                #expect(end.hasPrefix("refused: ") && end.contains("THE SERVER'S KEY HAS CHANGED"), "\(end)")
            }
        }
    }
}

extension WirePeer {
    /// A frame as it travels, without a seal.
    static func bytes(of frame: OutboundFrame) throws -> [UInt8] {
        var bytes = ByteBuffer()
        frame.writeHead(into: &bytes)
        bytes.writeImmutableBuffer(frame.payload)
        return Array(bytes.readableBytesView)
    }
}
