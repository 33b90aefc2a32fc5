import Crypto
import NIOCore
import Seal
import Secrets

/// The server's side of the handshake on a new carrier (protocol page, section 5).
///
/// Before the client's proof holds, no session, listener or table entry exists for it.
public struct ServerHandshake: Sendable {
    private enum State {
        /// `denied`: the session whose RESUME was answered with `unknownSession`.
        case waitingForClient(mayResume: Bool, denied: [UInt8]?)
        case verifying(id: [UInt8], Request<Authentication>, denied: [UInt8]?)
        case resuming(session: [UInt8], Request<Resumption>)
        /// RESUME did not hold, and has no answer.
        case notResumed(session: [UInt8])
        case finished
    }

    /// The client's request, whose proof has not been checked.
    private enum Request<Content: Sendable>: Sendable {
        case clear(Content, Transcript, proof: [UInt8])
        /// `before`: the payload without the message.
        case sealed(FieldReader, before: ByteBuffer, message: [UInt8])
    }

    /// The lookup that a frame from the client requires.
    public enum Action: Sendable {
        /// Look up the verifier of the client with this public id, and call ``verify(_:decoySecret:)``.
        case verify(client: [UInt8])
        /// Look up the keys of the session with this id, and call ``verifyResume(_:decoySecret:)``. If that fails, send
        /// ``denyResume()``; the client then authenticates on the same carrier.
        case resume(session: [UInt8])
    }

    /// The payload of ``challenge``.
    package let challengePayload: ByteBuffer
    private let key: ServerKey?
    private let requiresSeal: Bool
    private var state = State.waitingForClient(mayResume: true, denied: nil)

    /// Prepares a handshake.
    ///
    /// - Parameters:
    ///   - nonce: 32 fresh random bytes, for this carrier alone.
    ///   - software: the server's name and version, for the client's log.
    ///   - key: the server's static key; nil if it does not seal sessions.
    ///   - requiresSeal: whether sessions that are not sealed are refused.
    public init(nonce: [UInt8], software: String, key: ServerKey? = nil, requiresSeal: Bool = false) {
        challengePayload = Challenge(nonce: nonce, software: software, key: key?.publicKey).payload
        (self.key, self.requiresSeal) = (key, requiresSeal)
    }

    /// Continues the handshake of another server, which has sent a CHALLENGE and received a RESUME.
    ///
    /// - Parameters:
    ///   - challenge: the payload of CHALLENGE.
    ///   - resume: the payload of RESUME.
    /// - Returns: the handshake, ready for ``verifyResume(_:decoySecret:)``, and the session's id.
    /// - Throws: ``MuxError`` if a payload is malformed.
    package static func relayed(
        challenge: ByteBuffer,
        resume: ByteBuffer
    ) throws(MuxError) -> (ServerHandshake, session: [UInt8]) {
        _ = try Challenge(challenge)
        var handshake = ServerHandshake(challengePayload: challenge)
        let session = try handshake.receiveResume(resume)
        return (handshake, session)
    }

    private init(challengePayload: ByteBuffer) {
        self.challengePayload = challengePayload
        (key, requiresSeal) = (nil, false)
    }

    /// The server's first frame.
    public var challenge: OutboundFrame { OutboundFrame(.challenge, .session, challengePayload) }

    // MARK: The client's request

    /// Processes the client's next frame.
    ///
    /// - Throws: ``MuxError`` if the frame is not expected or malformed, the version is not supported, or only one end
    ///   wants the session sealed.
    public mutating func receive(_ frame: InboundFrame) throws(MuxError) -> Action {
        switch (state, frame.header.type) {
        case (.waitingForClient(_, let denied), .authenticate):
            return .verify(client: try receiveAuthenticate(frame.payload, denied))
        case (.waitingForClient(mayResume: true, _), .resume):
            return .resume(session: try receiveResume(frame.payload))
        case (_, let type):
            throw MuxError(.unexpectedFrame, "\(type) frame during the handshake")
        }
    }

    private mutating func receiveAuthenticate(
        _ payload: ByteBuffer,
        _ denied: [UInt8]?
    ) throws(MuxError) -> [UInt8] {
        let fields = try FieldReader(payload, of: .authenticate)
        let version: UInt16 = try fields.number(1)
        guard version == protocolVersion else {
            throw MuxError(
                .version,
                "the client speaks version \(version) of the protocol and this server \(protocolVersion); upgrade the "
                    + (version > protocolVersion ? "server" : "client")
            )
        }
        let id = try fields.bytes(2, count: 16)
        if let (message, before) = try fields.last(SealedFields.Tag.authenticate) {
            guard key != nil else { throw MuxError(.encryption, "this server does not seal sessions") }
            state = .verifying(id: id, .sealed(fields, before: before, message: message), denied: denied)
            return id
        }
        guard !requiresSeal else { throw MuxError(.encryption, "this server wants sealed sessions alone") }
        let authentication = try Authentication(fields, fields)
        state = .verifying(id: id, try clear(authentication, "authenticate", fields), denied: denied)
        return id
    }

    private mutating func receiveResume(_ payload: ByteBuffer) throws(MuxError) -> [UInt8] {
        let fields = try FieldReader(payload, of: .resume)
        let session = try fields.bytes(1, count: 16)
        if let (message, before) = try fields.last(SealedFields.Tag.resume) {
            state = .resuming(session: session, .sealed(fields, before: before, message: message))
        } else {
            state = .resuming(session: session, try clear(try Resumption(fields, fields), "resume", fields))
        }
        return session
    }

    private func clear<Content>(
        _ content: Content,
        _ label: String,
        _ fields: FieldReader
    ) throws(MuxError) -> Request<Content> {
        var transcript = Transcript()
        transcript.append("challenge", challengePayload)
        transcript.append(label, fields.unproved)
        return .clear(content, transcript, proof: try fields.bytes(FieldReader.proofTag, count: 32))
    }

    /// Opens the sealed fields of a request.
    ///
    /// - Returns: the fields, the transcript with them, and the handshake that answers; nil if the client has other keys.
    private func open(
        _ message: [UInt8],
        _ before: ByteBuffer,
        of type: FrameType,
        with handshake: consuming HandshakeState
    ) throws(MuxError) -> (FieldReader, Transcript, OneTime<HandshakeState>)? {
        guard let content = try? handshake.read(message) else { return nil }
        let fields = try FieldReader(ByteBuffer(bytes: content), of: type)
        var transcript = Transcript()
        transcript.append("challenge", challengePayload)
        transcript.append(type == .resume ? "resume" : "authenticate", before)
        transcript.append("sealed", fields.unproved)
        return (fields, transcript, OneTime(handshake))
    }

    // MARK: A new session

    /// A verified client.
    public struct Verified: Sendable {
        /// The client's statements about itself, now proved.
        public let authentication: Authentication
        /// Whether the path has denied the client's session in this server's place. The client must be refused with
        /// ``RefusalCode/altered``, and then resumes the session.
        public let isAltered: Bool
        let resumeKey: SymmetricKey
        let transcript: Transcript
        let verifier: Verifier
        /// Answers a sealed request.
        let handshake: OneTime<HandshakeState>?

        /// Returns the frame that grants the session on `terms`, and the keys of the session; nil if the request has been
        /// answered or is altered.
        public func welcome(_ terms: Welcome) -> (CarrierOpening, SessionKeys)? {
            guard !isAltered else { return nil }
            var transcript = transcript
            var fields = terms.unproved
            transcript.append("welcome", fields.bytes)
            fields.append(FieldReader.proofTag, verifier.proof(over: transcript).bytes)
            guard let handshake else {
                let frame = OutboundFrame(.welcome, .session, fields.bytes)
                return (CarrierOpening(frame: frame, seal: nil), SessionKeys(resume: resumeKey))
            }
            guard let handshake = handshake.take(),
                let (opening, secret) = SealedFields.answer(.welcome, fields.bytes, in: .welcome, handshake)
            else { return nil }
            return (opening, SessionKeys(resume: resumeKey, seal: secret))
        }

        /// Returns the frame that refuses the session. Only this client can read the refusal of a sealed request, and it
        /// knows that the refusal is the server's.
        public func refuse(_ refusal: Refusal) -> OutboundFrame {
            let frame = refusal.frame(.refused)
            guard let handshake = handshake?.take(),
                let (opening, _) = SealedFields.answer(.refused, frame.payload, in: .welcome, handshake)
            else { return frame }
            return opening.frame
        }
    }

    /// Checks the proof, with equal work for known and unknown clients.
    ///
    /// - Parameters:
    ///   - verifier: the client's verifier; nil if its id is unknown.
    ///   - decoySecret: random bytes of this process, from which unknown clients get a verifier.
    /// - Returns: nil if the client must be refused.
    /// - Throws: ``MuxError`` if the sealed fields of a client with the right keys are malformed.
    public mutating func verify(_ verifier: Verifier?, decoySecret: SymmetricKey) throws(MuxError) -> Verified? {
        guard case .verifying(let id, let request, let denied) = state else { return nil }
        state = .finished
        let used = verifier ?? .decoy(for: id, secret: decoySecret)
        let (authentication, transcript, proof): (Authentication, Transcript, [UInt8])
        var handshake: OneTime<HandshakeState>?
        switch request {
        case .clear(let content, let covered, let given):
            (authentication, transcript, proof) = (content, covered, given)
        case .sealed(let outer, let before, let message):
            guard let key else { return nil }
            let noise = SealedFields.handshake(
                .server(key),
                psk: .seal(of: used.storedKey),
                "culvert seal 1",
                [("challenge", challengePayload), ("authenticate", before)]
            )
            guard let (fields, covered, answer) = try open(message, before, of: .authenticate, with: noise) else {
                return nil
            }
            handshake = answer
            (authentication, transcript) = (try Authentication(outer, fields), covered)
            proof = try fields.bytes(FieldReader.proofTag, count: 32)
        }
        guard let key = used.resumeKey(proof: proof, over: transcript), verifier != nil else { return nil }
        return Verified(
            authentication: authentication,
            isAltered: authentication.denied != nil && authentication.denied != denied,
            resumeKey: key,
            transcript: transcript,
            verifier: used,
            handshake: handshake
        )
    }

    // MARK: A further carrier

    /// A client that has proved knowledge of the session's keys.
    public struct Resumed: Sendable {
        /// What the client asks for, now proved.
        public let resumption: Resumption
        let transcript: Transcript
        let key: SymmetricKey
        /// Answers a sealed request.
        let handshake: OneTime<HandshakeState>?

        /// Returns the frame that accepts the carrier and reports the counted frames received; nil if the request has been
        /// answered.
        ///
        /// - Parameter ticket: the client's next ticket, as in ``Welcome``.
        public func resumed(received: UInt64, ticket: [UInt8] = []) -> CarrierOpening? {
            var transcript = transcript
            var fields = FieldWriter()
            fields.append(1, number: received)
            if !ticket.isEmpty { fields.append(2, ticket) }
            transcript.append("resumed", fields.bytes)
            fields.append(FieldReader.proofTag, transcript.authenticate(key).bytes)
            guard let handshake else {
                return CarrierOpening(frame: OutboundFrame(.resumed, .session, fields.bytes), seal: nil)
            }
            guard let handshake = handshake.take() else { return nil }
            return SealedFields.answer(.resumed, fields.bytes, in: .resumed, handshake)?.0
        }

        /// Returns the frame that refuses the carrier, as ``Verified/refuse(_:)`` does.
        public func refuse(_ refusal: Refusal) -> OutboundFrame {
            let frame = refusal.frame(.refused)
            guard let handshake = handshake?.take(),
                let (opening, _) = SealedFields.answer(.refused, frame.payload, in: .resumed, handshake)
            else { return frame }
            return opening.frame
        }
    }

    /// Checks the proof of RESUME, with equal work for known and unknown sessions.
    ///
    /// - Parameters:
    ///   - keys: the session's keys; nil if the session is unknown.
    ///   - decoySecret: random bytes of this process.
    /// - Returns: nil if the request does not hold. A carrier allows one attempt to resume.
    /// - Throws: ``MuxError`` if the sealed fields of a client with the right keys are malformed.
    public mutating func verifyResume(_ keys: SessionKeys?, decoySecret: SymmetricKey) throws(MuxError) -> Resumed? {
        guard case .resuming(let session, let request) = state else { return nil }
        state = .notResumed(session: session)
        let (resumption, transcript, proof): (Resumption, Transcript, [UInt8])
        var handshake: OneTime<HandshakeState>?
        switch request {
        case .clear(let content, let covered, let given):
            (resumption, transcript, proof) = (content, covered, given)
        case .sealed(let outer, let before, let message):
            let noise = SealedFields.handshake(
                .resumingServer,
                psk: keys?.seal ?? decoySecret,
                "culvert seal resume 1",
                [("challenge", challengePayload), ("resume", before)]
            )
            guard let (fields, covered, answer) = try open(message, before, of: .resume, with: noise) else {
                return nil
            }
            handshake = answer
            (resumption, transcript) = (try Resumption(outer, fields), covered)
            proof = try fields.bytes(FieldReader.proofTag, count: 32)
        }
        let isRight = isEqual(proof, transcript.authenticate(keys?.resume ?? decoySecret).bytes)
        // A sealed session has no carrier that is not.
        guard isRight, let keys, keys.isSealed == (handshake != nil) else { return nil }
        state = .finished
        return Resumed(resumption: resumption, transcript: transcript, key: keys.resume, handshake: handshake)
    }

    /// Returns the answer to a RESUME for which ``verifyResume(_:decoySecret:)`` has returned nil. The client then
    /// authenticates on this carrier.
    public mutating func denyResume() -> OutboundFrame {
        if case .notResumed(let session) = state {
            state = .waitingForClient(mayResume: false, denied: session)
        }
        return refuse(Refusal(.unknownSession, "authenticate anew"))
    }

    /// Returns the frame that refuses the client. Its text must be the same for an unknown client and a wrong proof.
    public func refuse(_ refusal: Refusal) -> OutboundFrame { refusal.frame(.refused) }
}
