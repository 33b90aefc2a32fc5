import Crypto
import NIOCore
import Testing

@testable import Mux
@testable import Seal

/// What the holder of a stolen verifier lacks: the client's key, and the server's static private key.
@Suite("A stolen verifier")
struct StolenVerifierTests {
    @Test("It opens message 1 of a request, and proves nothing without the client's key")
    func client() throws {
        let token = try #require(HandshakePair.token)
        let verifier = token.verifier
        var pair = try SealedPair()
        let right = try SealedRequest.authenticate(pair.server.challengePayload) { token.proof(over: $0).bytes }
        #expect(try pair.verify(right)?.authentication.name == "laptop", "the same request with the right proof")
        // In place of the client's key: each key of the verifier, none, and that of another token.
        let other = try #require(HandshakePair.other).clientKey.bytes
        for guess in [verifier.storedKey, verifier.serverKey, [UInt8](repeating: 0, count: 32), other] {
            var pair = try SealedPair()
            let forged = try SealedRequest.authenticate(pair.server.challengePayload) { transcript in
                (Data32(guess) ^ transcript.authenticate(SymmetricKey(data: verifier.storedKey))).bytes
            }
            #expect(try pair.verify(forged) == nil)
        }
        var clear = try SealedPair()
        let proofOfServer = try SealedRequest.authenticate(clear.server.challengePayload) {
            verifier.proof(over: $0).bytes
        }
        #expect(try clear.verify(proofOfServer) == nil)
    }

    /// What a thief mixes in place of the secret of the client's ephemeral and the server's static key.
    private enum Guess: CaseIterable {
        /// The right one, of the server's private key.
        case right
        case another
        case ownEphemeral
        case ephemeralWithServer
        case psk
        case zeros
        case nothing

        /// Returns the secret; nil to mix nothing.
        func secret(
            _ ephemeral: Curve25519.KeyAgreement.PrivateKey,
            _ client: Curve25519.KeyAgreement.PublicKey,
            psk: SymmetricKey
        ) throws -> SymmetricKey? {
            switch self {
            case .right: try DiffieHellman.sharedSecret(try #require(SealedPair.key).key, client)
            case .another: try DiffieHellman.sharedSecret(try #require(SealedPair.otherKey).key, client)
            case .ownEphemeral: try DiffieHellman.sharedSecret(ephemeral, client)
            case .ephemeralWithServer:
                try DiffieHellman.sharedSecret(ephemeral, try #require(SealedPair.key).publicKey.key)
            case .psk: psk
            case .zeros: SymmetricKey(data: [UInt8](repeating: 0, count: 32))
            case .nothing: nil
            }
        }
    }

    /// A server made of Noise's parts, which shows the right static key, and has the psk and the verifier.
    private struct Impostor {
        private var symmetric: SymmetricState
        private let ephemeral = Curve25519.KeyAgreement.PrivateKey()
        private let client: Curve25519.KeyAgreement.PublicKey
        private let sealed: [UInt8]
        private let before: ByteBuffer
        private let challenge: ByteBuffer
        private let verifier: Verifier

        init(_ challenge: ByteBuffer, _ request: OutboundFrame, _ guess: Guess) throws {
            verifier = try #require(HandshakePair.token).verifier
            let fields = try FieldReader(request.payload, of: .authenticate)
            let (message, before) = try #require(try fields.last(SealedFields.Tag.authenticate))
            (self.before, self.challenge) = (before, challenge)
            var prologue = Transcript("culvert seal 1")
            prologue.append("challenge", challenge)
            prologue.append("authenticate", before)
            let key = Array(message.prefix(DiffieHellman.keyLength))
            client = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: key)
            sealed = Array(message.dropFirst(DiffieHellman.keyLength))
            let psk = SymmetricKey.seal(of: verifier.storedKey)
            symmetric = SymmetricState(protocolName: HandshakePattern.nkPSK0.protocolName)
            symmetric.mixHash(prologue.bytes)
            symmetric.mixHash(try #require(SealedPair.key).publicKey.rawRepresentation)
            symmetric.mixKeyAndHash(psk)
            symmetric.mixHash(key)
            symmetric.mixKey(SymmetricKey(data: key))
            if let secret = try guess.secret(ephemeral, client, psk: psk) { symmetric.mixKey(secret) }
        }

        /// The payload of message 1; nil if it does not open.
        func opened() -> [UInt8]? {
            var symmetric = symmetric
            return try? symmetric.decryptAndHash(sealed)
        }

        /// WELCOME with the server's proof.
        ///
        /// - Parameter request: the payload of message 1, so that nothing is wrong but the keys.
        func content(_ request: [UInt8]) throws -> [UInt8] {
            var transcript = Transcript()
            transcript.append("challenge", challenge)
            transcript.append("authenticate", before)
            transcript.append("sealed", try FieldReader(ByteBuffer(bytes: request), of: .authenticate).unproved)
            var fields = HandshakePair.terms.unproved
            transcript.append("welcome", fields.bytes)
            fields.append(FieldReader.proofTag, verifier.proof(over: transcript).bytes)
            return Array(fields.bytes.readableBytesView)
        }

        func welcome(_ content: [UInt8]) throws -> OutboundFrame {
            var symmetric = symmetric
            symmetric.mixHash(sealed)
            let key = Array(ephemeral.publicKey.rawRepresentation)
            symmetric.mixHash(key)
            symmetric.mixKey(SymmetricKey(data: key))
            symmetric.mixKey(try DiffieHellman.sharedSecret(ephemeral, client))
            let message = try symmetric.encryptAndHash([FrameType.welcome.rawValue] + content)
            var fields = FieldWriter()
            fields.append(SealedFields.Tag.welcome, key + message)
            return OutboundFrame(.welcome, .session, fields.bytes)
        }
    }

    @Test(
        "It opens no request for a server whose key is known, and no WELCOME of it is accepted",
        arguments: [true, false]
    )
    func server(isPinned: Bool) throws {
        let shown = try #require(SealedPair.key).publicKey
        for guess in Guess.allCases {
            var pair = try SealedPair(isPinned ? .keys([shown]) : .anyKey)
            let challenge = pair.server.challengePayload
            let request = try pair.answer()
            // The thief is told what the request says, so that its own proof is right.
            let content = try #require(try Impostor(challenge, request, .right).opened())
            let impostor = try Impostor(challenge, request, guess)
            #expect((impostor.opened() == content) == (guess == .right), "\(guess)")
            let welcome = try impostor.welcome(impostor.content(content)).arrived
            guard guess == .right else {
                #expect(impostor.opened() == nil, "\(guess)")
                #expect(kind { () throws(MuxError) in _ = try pair.client.receive(welcome) } == .altered, "\(guess)")
                continue
            }
            guard case .established(let grant) = try pair.client.receive(welcome) else {
                Issue.record("with the private key it is the server")
                continue
            }
            #expect(grant.serverKey == shown)
        }
    }

    @Test(
        "A WELCOME with the server's proof that is not sealed is not accepted either, nor one of Noise over another key"
    )
    func otherAnswers() throws {
        let (shown, verifier) = (try #require(SealedPair.key).publicKey, try #require(HandshakePair.token).verifier)
        var pair = try SealedPair(.keys([shown]))
        let request = try pair.answer()
        let impostor = try Impostor(pair.server.challengePayload, request, .right)
        let content = try impostor.content(try #require(impostor.opened()))
        let clear = OutboundFrame(.welcome, .session, ByteBuffer(bytes: content)).arrived
        #expect(kind { () throws(MuxError) in _ = try pair.client.receive(clear) } == .altered)
        // Each handshake that Noise permits without the private key.
        let fields = try FieldReader(request.payload, of: .authenticate)
        let (message, before) = try #require(try fields.last(SealedFields.Tag.authenticate))
        for party in [
            HandshakeState.Party.server(try #require(SealedPair.otherKey)), .server(ServerKey()), .resumingServer,
        ] {
            var noise = SealedFields.handshake(
                party,
                psk: .seal(of: verifier.storedKey),
                "culvert seal 1",
                [("challenge", pair.server.challengePayload), ("authenticate", before)]
            )
            do {
                _ = try noise.read(message)
                Issue.record("the request opens")
            } catch {
                #expect(error == .authentication)
            }
        }
        // It shows its own key: the client asks it for nothing if it knows the server's.
        var open = try SealedPair(.keys([shown]), key: SealedPair.otherKey)
        guard case .wrongKey = try open.client.receive(open.server.challenge.arrived) else {
            Issue.record("the client goes on")
            return
        }
    }
}
