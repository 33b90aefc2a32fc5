import ByteText
import Crypto
import NIOCore
import Seal
import Testing

@testable import Mux

/// Both ends of the handshake of a sealed session (protocol page, section 5, "The seal").
struct SealedPair {
    static let key = ServerKey(rawRepresentation: [UInt8](repeating: 0x42, count: 32))
    static let otherKey = ServerKey(rawRepresentation: [UInt8](repeating: 0x43, count: 32))
    static let session = [UInt8](repeating: 3, count: 16)

    var server: ServerHandshake
    var client: ClientHandshake

    init(
        _ encryption: ClientHandshake.Encryption = .anyKey,
        key: ServerKey? = SealedPair.key,
        requiresSeal: Bool = true,
        serverNonce: UInt8 = 1
    ) throws {
        let credentials = try #require(HandshakePair.token)
        server = ServerHandshake(
            nonce: [UInt8](repeating: serverNonce, count: 32),
            software: "culvert 1.2.3",
            key: key,
            requiresSeal: requiresSeal
        )
        client = ClientHandshake(
            credentials: credentials,
            authentication: Authentication(
                id: credentials.id,
                nonce: [UInt8](repeating: 2, count: 32),
                instance: [UInt8](repeating: 5, count: 32),
                name: "laptop-of-alice",
                authority: "tunnel.example.com:443",
                initialWindow: 2_000,
                software: "culvert 1.2.4 on a laptop",
                streams: 77
            ),
            encryption: encryption
        )
    }

    /// The client's answer to a challenge.
    mutating func answer(
        _ challenge: OutboundFrame? = nil,
        ticket: ClientHandshake.Ticket? = nil
    ) throws -> OutboundFrame {
        let challenge = challenge ?? server.challenge
        guard case .send(let frame) = try client.receive(challenge.arrived, ticket: ticket) else {
            throw MuxError(.unexpectedFrame, "no answer to the challenge")
        }
        return frame
    }

    /// The server's judgement of a request for a new session.
    mutating func verify(
        _ frame: OutboundFrame,
        _ verifier: Verifier? = HandshakePair.token?.verifier
    ) throws -> ServerHandshake.Verified? {
        guard case .verify = try server.receive(frame.arrived) else { throw MuxError(.unexpectedFrame, "no request") }
        return try server.verify(verifier, decoySecret: HandshakePair.decoySecret)
    }

    /// The server's judgement of a request for a further carrier.
    mutating func verifyResume(
        _ frame: OutboundFrame,
        _ keys: SessionKeys?
    ) throws -> ServerHandshake.Resumed? {
        guard case .resume = try server.receive(frame.arrived) else { throw MuxError(.unexpectedFrame, "no request") }
        return try server.verifyResume(keys, decoySecret: HandshakePair.decoySecret)
    }

    /// The server's grant of a session.
    mutating func granted(_ request: OutboundFrame) throws -> (CarrierOpening, SessionKeys) {
        let verified = try #require(try verify(request))
        return try #require(verified.welcome(HandshakePair.terms))
    }

    /// The server's acceptance of a further carrier.
    mutating func accepted(_ request: OutboundFrame, _ keys: SessionKeys, received: UInt64) throws -> CarrierOpening {
        let proof = try #require(try verifyResume(request, keys))
        return try #require(proof.resumed(received: received))
    }

    /// A whole handshake of a new session.
    static func established() throws -> (ClientHandshake.Grant, CarrierOpening, SessionKeys, wire: [UInt8]) {
        var pair = try SealedPair()
        let request = try pair.answer()
        let verified = try #require(try pair.verify(request))
        let (opening, keys) = try #require(verified.welcome(HandshakePair.terms))
        guard case .established(let grant) = try pair.client.receive(opening.frame.arrived) else {
            throw MuxError(.unexpectedFrame, "not established")
        }
        return (grant, opening, keys, pair.server.challenge.wire + request.wire + opening.frame.wire)
    }

    static func ticket(_ keys: SessionKeys, epoch: UInt64 = 1) -> ClientHandshake.Ticket {
        let resumption = Resumption(
            session: session,
            lane: LaneID(2),
            epoch: epoch,
            received: 1_234_567,
            nonce: [UInt8](repeating: 6, count: 32)
        )
        return ClientHandshake.Ticket(resumption, keys: keys)
    }
}

/// Requires that two ends have the same keys, in both directions.
func expectSealed(_ client: OneTime<CarrierSeal>?, _ server: OneTime<CarrierSeal>?) throws {
    guard var client = client?.take(), var server = server?.take() else {
        Issue.record("an end has no seal")
        return
    }
    #expect(client.handshakeHash == server.handshakeHash)
    var message = ByteBuffer(string: "to the server")
    try client.sealer.seal(&message)
    try server.opener.open(&message)
    #expect(String(buffer: message) == "to the server")
    message = ByteBuffer(string: "to the client")
    try server.sealer.seal(&message)
    try client.opener.open(&message)
    #expect(String(buffer: message) == "to the client")
}

@Suite("The handshake of a sealed session")
struct SealedHandshakeTests {
    @Test("Both ends get the same keys and terms, and the server's key is proved")
    func newSession() throws {
        let (grant, opening, keys, _) = try SealedPair.established()
        #expect(grant.welcome == HandshakePair.terms)
        #expect(grant.serverKey == SealedPair.key?.publicKey)
        #expect(grant.keys.resume == keys.resume && grant.keys.seal == keys.seal && keys.isSealed)
        try expectSealed(grant.seal, opening.seal)
        if grant.seal?.take() != nil { Issue.record("a seal is taken twice") }
    }

    @Test("A further carrier has keys of its own, from the secret of the first one")
    func furtherCarrier() throws {
        let (grant, _, keys, _) = try SealedPair.established()
        for epoch in UInt64(1)...3 {
            var pair = try SealedPair()
            let request = try pair.answer(ticket: SealedPair.ticket(grant.keys, epoch: epoch))
            let proof = try #require(try pair.verifyResume(request, keys))
            #expect(proof.resumption == SealedPair.ticket(grant.keys, epoch: epoch).resumption)
            let opening = try #require(proof.resumed(received: 42, ticket: [1, 2]))
            guard
                case .resumed(received: 42, ticket: [1, 2], let seal) = try pair.client.receive(opening.frame.arrived)
            else {
                Issue.record("not resumed")
                return
            }
            try expectSealed(seal, opening.seal)
        }
    }

    @Test("What the two ends tell each other is not on the wire")
    func nothingInClear() throws {
        let (grant, _, keys, opening) = try SealedPair.established()
        var pair = try SealedPair()
        let request = try pair.answer(ticket: SealedPair.ticket(grant.keys))
        let answer = try pair.accepted(request, keys, received: 7_654_321)
        let wire = Base16.encoded(opening + request.wire + answer.frame.wire)
        let hidden: [[UInt8]] = [
            Array("laptop-of-alice".utf8), Array("tunnel.example.com".utf8), Array("on a laptop".utf8),
            [UInt8](repeating: 5, count: 32), HandshakePair.terms.session, [0, 0, 0, 0, 0, 0x12, 0xD6, 0x87],
            [0, 0, 0, 0, 0, 0x74, 0xCB, 0xB1], keys.resume.bytes, keys.seal?.bytes ?? [],
        ]
        // The id of the session is what RESUME shows.
        let opened = Base16.encoded(opening)
        for bytes in hidden where bytes != HandshakePair.terms.session {
            #expect(!wire.contains(Base16.encoded(bytes)), "\(Base16.encoded(bytes))")
        }
        #expect(!opened.contains(Base16.encoded(HandshakePair.terms.session)))
    }

    @Test("A changed byte of any frame of a new session's handshake gives no session")
    func changedOpening() throws {
        let length = try SealedPair().server.challenge.payload.readableBytes
        for index in 0..<length {
            var pair = try SealedPair()
            let challenge = Self.changed(pair.server.challenge, at: index)
            guard let request = try? pair.answer(challenge) else { continue }
            #expect(((try? pair.verify(request)) ?? nil) == nil, "byte \(index) of CHALLENGE")
        }
        var request = try SealedPair()
        for index in 0..<(try request.answer().payload.readableBytes) {
            var pair = try SealedPair()
            let frame = Self.changed(try pair.answer(), at: index)
            #expect(((try? pair.verify(frame)) ?? nil) == nil, "byte \(index) of AUTHENTICATE")
        }
        var index = 0
        while true {
            var pair = try SealedPair()
            let verified = try #require(try pair.verify(pair.answer()))
            let (opening, _) = try #require(verified.welcome(HandshakePair.terms))
            guard index < opening.frame.payload.readableBytes else { break }
            let frame = Self.changed(opening.frame, at: index)
            #expect(throws: MuxError.self, "byte \(index) of WELCOME") { try pair.client.receive(frame.arrived) }
            index += 1
        }
    }

    @Test("A changed byte of RESUME or RESUMED gives no carrier")
    func changedResume() throws {
        let (grant, _, keys, _) = try SealedPair.established()
        var index = 0
        while true {
            var pair = try SealedPair()
            let request = try pair.answer(ticket: SealedPair.ticket(grant.keys))
            guard index < request.payload.readableBytes else { break }
            let frame = Self.changed(request, at: index)
            #expect(((try? pair.verifyResume(frame, keys)) ?? nil) == nil, "byte \(index) of RESUME")
            index += 1
        }
        index = 0
        while true {
            var pair = try SealedPair()
            let request = try pair.answer(ticket: SealedPair.ticket(grant.keys))
            let opening = try pair.accepted(request, keys, received: 42)
            guard index < opening.frame.payload.readableBytes else { break }
            let frame = Self.changed(opening.frame, at: index)
            #expect(throws: MuxError.self, "byte \(index) of RESUMED") { try pair.client.receive(frame.arrived) }
            index += 1
        }
    }

    @Test("A recorded request is worth nothing on another carrier")
    func replay() throws {
        let (grant, _, keys, _) = try SealedPair.established()
        var first = try SealedPair()
        let recorded = try first.answer()
        var second = try SealedPair(serverNonce: 9)
        #expect(try second.verify(recorded) == nil)
        #expect(try first.verify(recorded) != nil)
        var third = try SealedPair()
        let resume = try third.answer(ticket: SealedPair.ticket(grant.keys))
        var fourth = try SealedPair(serverNonce: 9)
        #expect(try fourth.verifyResume(resume, keys) == nil)
        #expect(try third.verifyResume(resume, keys) != nil)
    }

    @Test("Without the seal's fields there is no session: a client that wants one sends nothing, a server refuses")
    func downgrade() throws {
        // The key was removed from the challenge.
        let bare = ServerHandshake(nonce: [UInt8](repeating: 1, count: 32), software: "x").challenge
        for encryption in [ClientHandshake.Encryption.anyKey, .keys([try #require(SealedPair.key).publicKey])] {
            var pair = try SealedPair(encryption)
            #expect(throws: MuxError.self) { try pair.client.receive(bare.arrived) }
        }
        // The client sends its request in clear.
        var clear = try SealedPair(.off)
        let request = try clear.answer()
        let error = kind { () throws(MuxError) in _ = try clear.server.receive(request.arrived) }
        #expect(error == .encryption)
        var tolerant = try SealedPair(.off, requiresSeal: false)
        #expect(try tolerant.verify(tolerant.answer()) != nil, "a server that takes both takes it")
        // The server's answer is not sealed.
        var pair = try SealedPair()
        _ = try pair.answer()
        let welcome = OutboundFrame(.welcome, .session, HandshakePair.terms.unproved.bytes)
        #expect(kind { () throws(MuxError) in _ = try pair.client.receive(welcome.arrived) } == .altered)
        // A client that seals for a server that does not.
        var unable = try SealedPair(key: nil, requiresSeal: false)
        var able = try SealedPair()
        let sealed = try able.answer()
        #expect(kind { () throws(MuxError) in _ = try unable.server.receive(sealed.arrived) } == .encryption)
    }

    @Test("A session keeps to what it was: sealed carriers for a sealed one, others for another")
    func noMixing() throws {
        let (grant, _, keys, _) = try SealedPair.established()
        let bare = SessionKeys(resume: keys.resume)
        var clear = try SealedPair(.off)
        let inClear = try clear.answer(ticket: SealedPair.ticket(bare))
        #expect(try clear.verifyResume(inClear, keys) == nil)
        var pair = try SealedPair()
        let sealed = try pair.answer(ticket: SealedPair.ticket(grant.keys))
        #expect(try pair.verifyResume(sealed, bare) == nil)
        // The client authenticates on the same carrier then.
        let refusal = pair.server.denyResume()
        guard case .denied(let anew) = try pair.client.receive(refusal.arrived) else {
            Issue.record("not denied")
            return
        }
        #expect(try pair.verify(anew) != nil)
    }

    @Test(
        "A client that was told by another that its session is over says so inside the seal, is refused, and learns why"
    )
    func deniedByAnother() throws {
        let (grant, _, keys, _) = try SealedPair.established()
        let denied = Refusal(.unknownSession, "authenticate anew").frame(.refused)
        // The request did not come to the server; it was that of another session; it did not hold, and has no answer.
        let others: [(inout SealedPair) throws -> Bool] = [
            { _ in true },
            { pair in
                var unknown = SealedPair.ticket(grant.keys).resumption
                unknown.session = [UInt8](repeating: 9, count: 16)
                var other = try SealedPair()
                let request = try other.answer(ticket: ClientHandshake.Ticket(unknown, keys: grant.keys))
                #expect(try pair.verifyResume(request, nil) == nil)
                _ = pair.server.denyResume()
                return true
            },
            { pair in
                var other = try SealedPair(serverNonce: 7)
                let request = try other.answer(ticket: SealedPair.ticket(grant.keys))
                #expect(try pair.verifyResume(request, keys) == nil)
                return false
            },
        ]
        for other in others {
            var pair = try SealedPair()
            _ = try pair.answer(ticket: SealedPair.ticket(grant.keys))
            let mayAuthenticate = try other(&pair)
            guard case .denied(let anew) = try pair.client.receive(denied.arrived) else {
                Issue.record("not denied")
                continue
            }
            guard mayAuthenticate else {
                #expect(kind { () throws(MuxError) in _ = try pair.server.receive(anew.arrived) } == .unexpectedFrame)
                continue
            }
            let verified = try #require(try pair.verify(anew))
            #expect(verified.isAltered && verified.authentication.denied == SealedPair.session)
            let refused = verified.refuse(Refusal(.altered, "not denied")).arrived
            #expect(kind { () throws(MuxError) in _ = try pair.client.receive(refused) } == .altered)
        }
        // The server's own answer is right.
        var pair = try SealedPair()
        let request = try pair.answer(ticket: SealedPair.ticket(grant.keys))
        #expect(try pair.verifyResume(request, nil) == nil)
        guard case .denied(let anew) = try pair.client.receive(pair.server.denyResume().arrived) else {
            Issue.record("not denied")
            return
        }
        let verified = try #require(try pair.verify(anew))
        #expect(!verified.isAltered && verified.authentication.denied == SealedPair.session)
    }

    @Test("A key that is not the server's stops the client before it sends anything; any of several pins is right")
    func pins() throws {
        let (key, other) = (try #require(SealedPair.key).publicKey, try #require(SealedPair.otherKey).publicKey)
        var wrong = try SealedPair(.keys([other]))
        guard case .wrongKey(key) = try wrong.client.receive(wrong.server.challenge.arrived) else {
            Issue.record("the client goes on")
            return
        }
        var either = try SealedPair(.keys([other, key]))
        #expect(try either.verify(either.answer()) != nil)
    }

    @Test("A client that has proved itself gets its refusal sealed, and only it can read it")
    func sealedRefusals() throws {
        let refusal = Refusal(.busy, "the server is full of secrets", retryAfter: 30)
        var pair = try SealedPair()
        let verified = try #require(try pair.verify(pair.answer()))
        let frame = verified.refuse(refusal)
        #expect(!Base16.encoded(frame.wire).contains(Base16.encoded(Array("full of secrets".utf8))))
        guard case .refused(refusal) = try pair.client.receive(frame.arrived) else {
            Issue.record("not refused")
            return
        }
        #expect(verified.welcome(HandshakePair.terms) == nil, "a request is answered once")
        let (grant, _, keys, _) = try SealedPair.established()
        var resuming = try SealedPair()
        let proof = try #require(
            try resuming.verifyResume(resuming.answer(ticket: SealedPair.ticket(grant.keys)), keys)
        )
        guard case .refused(refusal) = try resuming.client.receive(proof.refuse(refusal).arrived) else {
            Issue.record("not refused")
            return
        }
    }

    @Test("The message is the last field of its frame, and alone in the server's answers")
    func order() throws {
        var pair = try SealedPair()
        let request = try pair.answer()
        var late = request.payload
        late.writeMultipleIntegers(UInt8(0x60), UInt16(1), UInt8(0))
        #expect(
            kind { () throws(MuxError) in _ = try pair.server.receive(frame(.authenticate, 0, late)) }
                == .malformedPayload
        )
        let (opening, _) = try pair.granted(request)
        var early = FieldWriter()
        early.append(0x60, [0])
        var bytes = early.bytes
        bytes.writeImmutableBuffer(opening.frame.payload)
        #expect(throws: MuxError.self) { try pair.client.receive(frame(.welcome, 0, bytes)) }
    }

    private static func changed(_ frame: OutboundFrame, at index: Int) -> OutboundFrame {
        var bytes = Array(frame.payload.readableBytesView)
        bytes[index] ^= 1
        return OutboundFrame(frame.header.type, .session, buffer(bytes))
    }
}
