import ByteText
import Crypto
import NIOCore
import Testing

@testable import Mux

/// Both ends of a handshake (protocol page, section 5). Tests may change the frames in between.
struct HandshakePair {
    static let token = try? Token("correct-horse-battery-staple").credentials()
    static let other = try? Token("another-horse-battery-staple").credentials()
    static let decoySecret = SymmetricKey(data: [UInt8](repeating: 9, count: 32))
    static let terms = Welcome(session: [UInt8](repeating: 3, count: 16), initialWindow: 1_000, grace: 0)

    let credentials: Credentials
    var server: ServerHandshake
    var client: ClientHandshake

    init(_ credentials: Credentials?, serverNonce: UInt8 = 1, clientNonce: UInt8 = 2) throws {
        self.credentials = try #require(credentials)
        server = ServerHandshake(nonce: [UInt8](repeating: serverNonce, count: 32), software: "culvert 1.2.3")
        client = ClientHandshake(
            credentials: self.credentials,
            authentication: Authentication(
                id: self.credentials.id,
                nonce: [UInt8](repeating: clientNonce, count: 32),
                instance: [UInt8](repeating: 5, count: 32),
                name: "laptop",
                authority: "tunnel.example.com:443",
                initialWindow: 2_000,
                software: "culvert 1.2.4"
            )
        )
    }

    /// The client's answer to the server's challenge.
    mutating func authenticate() throws -> OutboundFrame {
        guard case .send(let frame) = try client.receive(server.challenge.arrived) else {
            throw MuxError(.unexpectedFrame, "no authenticate")
        }
        return frame
    }

    /// The server's reaction to a client's frame.
    mutating func verify(_ frame: OutboundFrame, _ verifier: Verifier?) throws -> ServerHandshake.Verified? {
        guard case .verify = try server.receive(frame.arrived) else { throw MuxError(.unexpectedFrame, "no verify") }
        return try server.verify(verifier, decoySecret: Self.decoySecret)
    }
}

extension ServerHandshake.Verified {
    /// The frame that grants the session.
    func frame(_ terms: Welcome) throws -> OutboundFrame { try #require(welcome(terms)).0.frame }
}

/// The successful handshake, and the order of its frames.
@Suite struct HandshakeOrderTests {
    @Test("A4 A5 both ends prove the token, agree on the terms, and end with the same resume key")
    func happyPath() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let authenticate = try pair.authenticate()
        let verified = try #require(try pair.verify(authenticate, pair.credentials.verifier))
        #expect(verified.authentication.name == "laptop")
        #expect(verified.authentication.initialWindow == 2_000)
        let welcome = try verified.frame(HandshakePair.terms)
        guard case .established(let grant) = try pair.client.receive(welcome.arrived) else {
            Issue.record("not established")
            return
        }
        #expect(grant.welcome == HandshakePair.terms)
        #expect(grant.software == "culvert 1.2.3")
        #expect(grant.keys.resume == verified.resumeKey)
        let wire = pair.server.challenge.wire + authenticate.wire + welcome.wire
        for secret in [Array("correct-horse".utf8), pair.credentials.clientKey.bytes, verified.resumeKey.bytes] {
            #expect(!Base16.encoded(wire).contains(Base16.encoded(secret)), "A4 no secret travels")
        }
    }

    @Test("the resume key is different for each session")
    func resumeKeys() throws {
        let keys = try [UInt8(1), 7, 8].map { nonce in
            var pair = try HandshakePair(HandshakePair.token, serverNonce: nonce)
            return try #require(try pair.verify(pair.authenticate(), pair.credentials.verifier)).resumeKey
                .bytes
        }
        #expect(Set(keys).count == 3)
    }

    @Test("M1 an unexpected frame ends the handshake, at either end", arguments: FrameType.allCases)
    func order(type: FrameType) throws {
        let wrong = OutboundFrame(type, StreamID(type.isOfStream ? 2 : 0), bytes(type.fixedPayloadLength ?? 0)).arrived
        var pair = try HandshakePair(HandshakePair.token)
        func error(_ body: () throws -> Void) -> MuxError.Kind? {
            do {
                try body()
                return nil
            } catch { return (error as? MuxError)?.kind }
        }
        if type != .authenticate, type != .resume {
            #expect(error { _ = try pair.server.receive(wrong) } == .unexpectedFrame)
        }
        if type != .challenge, type != .refused {
            #expect(error { _ = try pair.client.receive(wrong) } == .unexpectedFrame)
        }
        let authenticate = try pair.authenticate()
        if type != .welcome, type != .refused {
            #expect(error { _ = try pair.client.receive(wrong) } == .unexpectedFrame)
        }
        _ = try pair.verify(authenticate, pair.credentials.verifier)
        #expect(error { _ = try pair.server.receive(wrong) } == .unexpectedFrame)
        #expect(error { _ = try pair.server.receive(authenticate.arrived) } == .unexpectedFrame)
        #expect(try pair.server.verify(pair.credentials.verifier, decoySecret: HandshakePair.decoySecret) == nil)
    }

    @Test(
        "M2 a client without a common version reports which end is old",
        arguments: [(UInt16(3), "client"), (1, "server")]
    )
    func versionAtClient(theirs: UInt16, old: String) throws {
        var pair = try HandshakePair(HandshakePair.token)
        let challenge = Challenge(versions: [theirs], nonce: [UInt8](repeating: 1, count: 32), software: "x")
        do throws(MuxError) {
            _ = try pair.client.receive(frame(.challenge, 0, challenge.payload))
            Issue.record("accepted")
        } catch {
            #expect(error.kind == .version && error.code == .version)
            #expect(error.detail.hasSuffix("upgrade the \(old)"))
        }
    }

    @Test("M2 a newer server that supports this version is accepted")
    func newerServer() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let challenge = Challenge(versions: [9, 2, 8], nonce: [UInt8](repeating: 1, count: 32), software: "x")
        guard case .send = try pair.client.receive(frame(.challenge, 0, challenge.payload)) else {
            Issue.record("not answered")
            return
        }
    }

    @Test("M2 a server refuses any version but its own")
    func versionAtServer() throws {
        var pair = try HandshakePair(HandshakePair.token)
        var payload = try pair.authenticate().payload
        payload.setInteger(UInt16(1), at: payload.readerIndex + 3)
        let error = kind { () throws(MuxError) in _ = try pair.server.receive(frame(.authenticate, 0, payload)) }
        #expect(error == .version)
    }

    @Test(
        "M2 M3 a challenge is malformed if its versions are none, cut or too many, or if its nonce is not 32 bytes",
        arguments: [(0, 32), (1, 32), (3, 32), (66, 32), (2, 31), (2, 33), (2, 0)]
    )
    func malformedChallenge(versions: Int, nonce: Int) throws {
        var fields = FieldWriter()
        fields.append(1, [UInt8](repeating: 1, count: versions))
        fields.append(2, [UInt8](repeating: 1, count: nonce))
        let error = kind { () throws(MuxError) in _ = try Challenge(fields.bytes) }
        #expect(error == .malformedPayload)
    }

    @Test("a resume of an unknown session is refused, and the client authenticates on the same carrier")
    func resumeThenAuthenticate() throws {
        var pair = try HandshakePair(HandshakePair.token)
        let asked = Resumption(
            session: [UInt8](repeating: 4, count: 16),
            epoch: .max,
            received: .max,
            nonce: [UInt8](repeating: 6, count: 32)
        )
        var fields = asked.unproved
        let unproved = frame(.resume, 0, fields.bytes)
        fields.append(FieldReader.proofTag, [UInt8](repeating: 0, count: 32))
        var strict = pair.server
        #expect(kind { () throws(MuxError) in _ = try strict.receive(unproved) } == .malformedPayload)
        guard case .resume(let session) = try pair.server.receive(frame(.resume, 0, fields.bytes)) else {
            Issue.record("no resume")
            return
        }
        #expect(session == asked.session)
        #expect(try pair.server.verifyResume(nil, decoySecret: HandshakePair.decoySecret) == nil)
        let refused = pair.server.denyResume()
        #expect(refused.header.type == .refused)
        #expect(try Refusal(refused.payload, of: .refused).code == .unknownSession)
        var again = pair.server
        let error = kind { () throws(MuxError) in _ = try again.receive(frame(.resume, 0, fields.bytes)) }
        #expect(error == .unexpectedFrame, "A14 one try on each carrier")
        #expect(try pair.verify(pair.authenticate(), pair.credentials.verifier) != nil)
    }

    @Test("a refusal reaches the client unchanged")
    func refused() throws {
        for isAuthenticated in [false, true] {
            var pair = try HandshakePair(HandshakePair.token)
            if isAuthenticated { _ = try pair.authenticate() }
            let refusal = Refusal(.busy, "too many clients", retryAfter: 30)
            guard case .refused(let read) = try pair.client.receive(pair.server.refuse(refusal).arrived) else {
                Issue.record("not refused")
                return
            }
            #expect(read == refusal)
        }
    }
}
