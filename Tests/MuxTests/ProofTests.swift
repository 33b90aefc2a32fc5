import Crypto
import NIOCore
import Secrets
import Testing

@testable import Mux

/// Attacks on the proofs (protocol page, section 5).
@Suite struct ProofTests {
    private func authenticateFields(_ payload: ByteBuffer) throws -> (fields: ByteBuffer, proof: [UInt8]) {
        let reader = try FieldReader(payload, of: .authenticate)
        return (reader.unproved, try reader.bytes(FieldReader.proofTag, count: 32))
    }

    private func authenticate(_ fields: ByteBuffer, proof: [UInt8]) -> OutboundFrame {
        var writer = FieldWriter()
        writer.append(FieldReader.proofTag, proof)
        var payload = fields
        payload.writeImmutableBuffer(writer.bytes)
        return OutboundFrame(.authenticate, .session, payload)
    }

    @Test("A1 A19 an unknown client and a wrong token get the same answer, byte for byte")
    func unknownIsWrong() throws {
        let right = try #require(HandshakePair.token)
        let wrong = try #require(HandshakePair.other)
        var first = try HandshakePair(wrong)
        var second = try HandshakePair(wrong)
        let impostor = Verifier(id: wrong.id, storedKey: right.verifier.storedKey, serverKey: right.verifier.serverKey)
        #expect(try first.verify(first.authenticate(), impostor) == nil)
        #expect(try second.verify(second.authenticate(), nil) == nil)
        let refusal = Refusal(.credentials, "the server does not accept this token")
        #expect(first.server.refuse(refusal).wire == second.server.refuse(refusal).wire)
    }

    @Test("A1 A19 a correct proof for a decoy opens no session")
    func decoy() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let decoy = Verifier.decoy(for: pair.credentials.id, secret: HandshakePair.decoySecret)
        #expect(decoy == Verifier.decoy(for: pair.credentials.id, secret: HandshakePair.decoySecret))
        #expect(decoy != pair.credentials.verifier)
        #expect(try pair.verify(pair.authenticate(), decoy) == nil)
    }

    @Test("A3 a captured proof is useless for another nonce of the server")
    func replay() throws {
        var captured = try HandshakePair(HandshakePair.token, serverNonce: 1)
        let frame = try captured.authenticate()
        var later = try HandshakePair(HandshakePair.token, serverNonce: 4)
        #expect(try later.verify(frame, captured.credentials.verifier) == nil)
        #expect(try captured.verify(frame, captured.credentials.verifier) != nil)
    }

    @Test("A6 a change of any of the client's fields, or of any byte of its proof, breaks the proof")
    func tamperedAuthenticate() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let frame = try pair.authenticate()
        let (fields, proof) = try authenticateFields(frame.payload)
        let values = [
            Array("laptop".utf8), Array("tunnel".utf8), Array("culvert 1.2.4".utf8), [UInt8](repeating: 2, count: 32),
            [UInt8](repeating: 5, count: 32), hex("000007d0"),
        ]
        for value in values {
            let all = Array(fields.readableBytesView)
            let place = try #require((0...all.count - value.count).first { all[$0..<$0 + value.count] == value[...] })
            var changed = all
            changed[place] ^= 1
            var server = pair
            #expect(try server.verify(authenticate(buffer(changed), proof: proof), pair.credentials.verifier) == nil)
        }
        for index in proof.indices {
            var changed = proof
            changed[index] ^= 0x80
            var server = pair
            #expect(try server.verify(authenticate(fields, proof: changed), pair.credentials.verifier) == nil)
        }
    }

    @Test("A6 an unknown field of a newer client is covered by the proof, and skipped")
    func unknownField() throws {
        var pair = try HandshakePair(HandshakePair.token)
        var fields = try authenticateFields(pair.authenticate().payload).fields
        fields.writeBytes(hex("7e 0002 cafe"))
        var transcript = Transcript()
        transcript.append("challenge", pair.server.challenge.payload)
        transcript.append("authenticate", fields)
        let proof = pair.credentials.proof(over: transcript).bytes
        var tampered = fields
        tampered.setInteger(UInt8(0), at: tampered.writerIndex - 1)
        var other = pair
        #expect(try other.verify(authenticate(tampered, proof: proof), pair.credentials.verifier) == nil)
        #expect(try pair.verify(authenticate(fields, proof: proof), pair.credentials.verifier) != nil)
    }

    @Test("M3 a proof that is missing, short, long or not last is malformed", arguments: [-1, 0, 31, 33])
    func malformedProof(length: Int) throws {
        var pair = try HandshakePair(HandshakePair.token)
        let fields = try authenticateFields(pair.authenticate().payload).fields
        let proof = [UInt8](repeating: 0, count: max(0, length))
        let sent = length < 0 ? OutboundFrame(.authenticate, .session, fields) : authenticate(fields, proof: proof)
        #expect(kind { () throws(MuxError) in _ = try pair.server.receive(sent.arrived) } == .malformedPayload)
    }

    @Test("A5 a server that does not know the token is detected before anything is opened")
    func rogueServer() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let verified = try #require(try pair.verify(pair.authenticate(), pair.credentials.verifier))
        let rogue = ServerHandshake.Verified(
            authentication: verified.authentication,
            isAltered: false,
            resumeKey: verified.resumeKey,
            transcript: verified.transcript,
            verifier: try #require(HandshakePair.other).verifier,
            handshake: nil
        )
        let welcome = try rogue.frame(HandshakePair.terms)
        let error = kind { () throws(MuxError) in
            _ = try pair.client.receive(welcome.arrived)
        }
        #expect(error == .proof)
    }

    @Test("A5 A6 a change of any byte of WELCOME is detected: session, window, grace, proof")
    func tamperedWelcome() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let verified = try #require(try pair.verify(pair.authenticate(), pair.credentials.verifier))
        let welcome = try verified.frame(HandshakePair.terms)
        for index in 0..<welcome.payload.readableBytes {
            var changed = welcome.payload
            changed.setInteger(Array(changed.readableBytesView)[index] ^ 1, at: changed.readerIndex + index)
            var client = pair.client
            let error = kind { () throws(MuxError) in _ = try client.receive(frame(.welcome, 0, changed)) }
            #expect(error == .proof || error == .malformedPayload, "byte \(index)")
        }
        _ = try pair.client.receive(welcome.arrived)
    }

    @Test("A6 a client's proof is not a server's proof, so reflecting it proves nothing")
    func reflected() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let proof = try authenticateFields(pair.authenticate().payload).proof
        var fields = HandshakePair.terms.unproved
        fields.append(FieldReader.proofTag, proof)
        let error = kind { () throws(MuxError) in _ = try pair.client.receive(frame(.welcome, 0, fields.bytes)) }
        #expect(error == .proof)
    }

    @Test("A6 a server's proof is not a client's proof, even with the same key")
    func mirrored() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let (fields, _) = try authenticateFields(pair.authenticate().payload)
        var transcript = Transcript()
        transcript.append("challenge", pair.server.challenge.payload)
        transcript.append("authenticate", fields)
        let proof = pair.credentials.verifier.proof(over: transcript).bytes
        #expect(try pair.verify(authenticate(fields, proof: proof), pair.credentials.verifier) == nil)
    }

    @Test("A6 the verifier alone does not suffice to impersonate the client")
    func verifierAlone() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let (fields, _) = try authenticateFields(pair.authenticate().payload)
        var transcript = Transcript()
        transcript.append("challenge", pair.server.challenge.payload)
        transcript.append("authenticate", fields)
        let stored = pair.credentials.verifier.storedKey
        let forged = Data32(stored) ^ transcript.authenticate(SymmetricKey(data: stored))
        #expect(try pair.verify(authenticate(fields, proof: forged.bytes), pair.credentials.verifier) == nil)
    }

    @Test("A6 different transcripts have different bytes, which are those of the protocol page")
    func transcripts() throws {
        func code(_ entries: [(String, String)]) -> [UInt8] {
            var transcript = Transcript()
            for (label, text) in entries { transcript.append(label, buffer(text)) }
            return transcript.authenticate(SymmetricKey(data: [1])).bytes
        }
        let codes = [
            code([("a", "bc")]), code([("ab", "c")]), code([("a", "b"), ("", "c")]), code([("a", ""), ("b", "c")]),
        ]
        #expect(Set(codes).count == codes.count)
        let bytes = Array("culvert proof 1a".utf8) + [0, 0, 0, 0, 2] + Array("bc".utf8)
        #expect(codes[0] == Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: [1]))))
    }

    @Test("A1 the comparison covers every byte and every length")
    func comparison() {
        #expect(isEqual([], []))
        #expect(isEqual([1, 2], [1, 2]))
        #expect(!isEqual([1, 2], [1, 3]))
        #expect(!isEqual([1, 2], [0, 2]))
        #expect(!isEqual([1], [1, 2]))
    }
}
