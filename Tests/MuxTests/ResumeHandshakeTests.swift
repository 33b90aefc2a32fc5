import ByteText
import Crypto
import NIOCore
import Testing

@testable import Mux

/// The handshake of a carrier that resumes a session (protocol page, section 6): both ends prove the session's key.
@Suite struct ResumeHandshakeTests {
    static let key = SymmetricKey(data: [UInt8](repeating: 7, count: 32))
    static let keys = SessionKeys(resume: key)
    private static let other = SymmetricKey(data: [UInt8](repeating: 8, count: 32))

    static func ticket(epoch: UInt64 = 1, key: SymmetricKey = key) -> ClientHandshake.Ticket {
        let resumption = Resumption(
            session: [UInt8](repeating: 3, count: 16),
            epoch: epoch,
            received: 17,
            nonce: [UInt8](repeating: 6, count: 32)
        )
        return ClientHandshake.Ticket(resumption, keys: SessionKeys(resume: key))
    }

    /// The client's RESUME for the server's challenge.
    static func ask(_ pair: inout HandshakePair, _ ticket: ClientHandshake.Ticket) throws -> OutboundFrame {
        #expect(pair.client.awaitsChallenge)
        guard case .send(let frame) = try pair.client.receive(pair.server.challenge.arrived, ticket: ticket)
        else {
            throw MuxError(.unexpectedFrame, "no resume")
        }
        #expect(!pair.client.awaitsChallenge)
        return frame
    }

    @Test("A4 both ends prove the session's key, and report what they have received")
    func happyPath() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let asked = try Self.ask(&pair, Self.ticket())
        guard case .resume(let session) = try pair.server.receive(asked.arrived) else {
            Issue.record("no resume")
            return
        }
        #expect(session == Self.ticket().resumption.session)
        let verified = try pair.server.verifyResume(Self.keys, decoySecret: HandshakePair.decoySecret)
        let proof = try #require(verified)
        #expect(proof.resumption == Self.ticket().resumption)
        let answer = try #require(proof.resumed(received: 42)).frame
        guard case .resumed(received: 42, _, _) = try pair.client.receive(answer.arrived) else {
            Issue.record("not resumed")
            return
        }
        #expect(
            !Base16.encoded(asked.wire + answer.wire).contains(Base16.encoded(Self.key.bytes)),
            "A4 no secret travels"
        )
    }

    @Test("A1 A3 another key or challenge, or a changed byte, is refused; then the client authenticates")
    func wrongProofs() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let asked = try Self.ask(&pair, Self.ticket())
        for index in 0..<asked.payload.readableBytes {
            var server = pair.server
            var bytes = Array(asked.payload.readableBytesView)
            bytes[index] ^= 1
            guard (try? server.receive(frame(.resume, 0, buffer(bytes)))) != nil else { continue }
            #expect(try server.verifyResume(Self.keys, decoySecret: HandshakePair.decoySecret) == nil, "byte \(index)")
        }
        for (nonce, key) in [(UInt8(1), Self.other), (9, Self.key)] {
            var server = try HandshakePair(HandshakePair.token, serverNonce: nonce).server
            _ = try server.receive(asked.arrived)
            #expect(try server.verifyResume(SessionKeys(resume: key), decoySecret: HandshakePair.decoySecret) == nil)
        }
        // A decoy is not a key, even for a client that knows it.
        var unknown = try HandshakePair(HandshakePair.token)
        let guessed = try Self.ask(&unknown, Self.ticket(key: HandshakePair.decoySecret))
        _ = try unknown.server.receive(guessed.arrived)
        #expect(try unknown.server.verifyResume(nil, decoySecret: HandshakePair.decoySecret) == nil)
        let refusal = unknown.server.denyResume()
        guard case .denied(let anew) = try unknown.client.receive(refusal.arrived) else {
            Issue.record("not denied")
            return
        }
        let verified = try #require(try unknown.verify(anew, unknown.credentials.verifier))
        let welcome = try verified.frame(HandshakePair.terms)
        guard case .established(let grant) = try unknown.client.receive(welcome.arrived) else {
            Issue.record("not established")
            return
        }
        #expect(grant.keys.resume == verified.resumeKey, "RESUME and its answer are not part of the proofs")
    }

    @Test("A5 A6 a server without the key is detected, and so is a change of any byte of its answer")
    func rogueServer() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let asked = try Self.ask(&pair, Self.ticket())
        _ = try pair.server.receive(asked.arrived)
        let verified = try pair.server.verifyResume(Self.keys, decoySecret: HandshakePair.decoySecret)
        let proof = try #require(verified)
        let answer = try #require(proof.resumed(received: 42)).frame
        for index in 0..<answer.payload.readableBytes {
            var client = pair.client
            var bytes = Array(answer.payload.readableBytesView)
            bytes[index] ^= 1
            let error = kind { () throws(MuxError) in _ = try client.receive(frame(.resumed, 0, buffer(bytes))) }
            #expect(error == .proof || error == .malformedPayload, "byte \(index)")
        }
        var client = pair.client
        let mirrored = FieldWriter.resumed(received: 42, proof: Array(asked.payload.readableBytesView.suffix(32)))
        let error = kind { () throws(MuxError) in _ = try client.receive(frame(.resumed, 0, mirrored)) }
        #expect(error == .proof, "the client's own proof is not valid for the server")
    }

    @Test("a refusal for another reason ends the handshake, and only RESUMED and REFUSED are legal")
    func otherAnswers() throws {
        var pair = try HandshakePair(HandshakePair.token)
        _ = try Self.ask(&pair, Self.ticket())
        let refusal = Refusal(.replaced, "a newer carrier has been here")
        var client = pair.client
        guard case .refused(let read) = try client.receive(pair.server.refuse(refusal).arrived) else {
            Issue.record("not refused")
            return
        }
        #expect(read == refusal)
        for type in FrameType.allCases where type != .resumed && type != .refused {
            var client = pair.client
            let error = kind { () throws(MuxError) in _ = try client.receive(frame(type)) }
            #expect(error == .unexpectedFrame, "\(type)")
        }
    }
}

extension FieldWriter {
    fileprivate static func resumed(received: UInt64, proof: [UInt8]) -> ByteBuffer {
        var fields = FieldWriter()
        fields.append(1, number: received)
        fields.append(FieldReader.proofTag, proof)
        return fields.bytes
    }
}
