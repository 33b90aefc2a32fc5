import Crypto
import NIOCore
import Seal
import Secrets

/// The client's side of the handshake on a new carrier (protocol page, section 5).
///
/// ```
/// server: CHALLENGE -> client: AUTHENTICATE -> server: WELCOME | REFUSED
/// server: CHALLENGE -> client: RESUME -> server: RESUMED
///                                                REFUSED unknownSession -> client: AUTHENTICATE ...
/// ```
public struct ClientHandshake: Sendable {
    private enum State {
        case waitingForChallenge
        case waitingForWelcome(Transcript, Challenge, OneTime<HandshakeState>?)
        case waitingForResumed(SentResume)
        case finished
    }

    /// A RESUME that waits for its answer.
    private struct SentResume: Sendable {
        let transcript: Transcript
        let challenge: Challenge
        /// The payload of CHALLENGE.
        let payload: ByteBuffer
        /// The session's id.
        let session: [UInt8]
        let key: SymmetricKey
        /// Nil if the session is not sealed.
        let handshake: OneTime<HandshakeState>?
    }

    /// Whether the session is sealed, and for which server.
    public enum Encryption: Sendable {
        /// The session is not sealed.
        case off
        /// It is sealed for the key that the server shows, whichever that is.
        case anyKey
        /// It is sealed, and the server's key is one of these.
        case keys([ServerPublicKey])
    }

    /// The result of a frame from the server.
    public enum Action: Sendable {
        /// Send this frame and wait for the next one.
        case send(OutboundFrame)
        /// The server has proved that it knows the token, and the session exists.
        case established(Grant)
        /// The carrier belongs to the session, and the server has received `received` of its counted frames.
        case resumed(received: UInt64, ticket: [UInt8], seal: OneTime<CarrierSeal>?)
        /// An answer says that the server does not know the session. Send this frame: it leads to a new session if the
        /// answer is the server's.
        case denied(OutboundFrame)
        /// The server has refused the request.
        case refused(Refusal)
        /// The server, or something before it, shows a key that is not the server's. Nothing was sent.
        case wrongKey(ServerPublicKey)
    }

    /// The client's claim to a session, needed to resume it on a new carrier.
    public struct Ticket: Sendable {
        /// The request to resume.
        public let resumption: Resumption
        /// The session's keys, from its grant.
        public let keys: SessionKeys

        /// Creates a ticket; the resumption's epoch and nonce must be fresh.
        public init(_ resumption: Resumption, keys: SessionKeys) {
            self.resumption = resumption
            self.keys = keys
        }
    }

    /// A new session from the client's side.
    public struct Grant: Sendable {
        /// The server's terms.
        public let welcome: Welcome
        /// The server's software, for the log.
        public let software: String
        /// The keys with which a new carrier proves that it belongs to the session.
        public let keys: SessionKeys
        /// The server's key, which it has proved; nil if the session is not sealed.
        public var serverKey: ServerPublicKey?
        /// The seal of the carrier's further messages; nil if the session is not sealed.
        public var seal: OneTime<CarrierSeal>?
    }

    private let credentials: Credentials
    private let authentication: Authentication
    private let encryption: Encryption
    private var state = State.waitingForChallenge
    /// Whether a sealed session waits for the carrier. A breach in what is not sealed may then be the path's.
    private var isResumingSealed = false

    /// Prepares a handshake; `authentication.nonce` must be fresh.
    public init(credentials: Credentials, authentication: Authentication, encryption: Encryption = .off) {
        self.credentials = credentials
        self.authentication = authentication
        self.encryption = encryption
    }

    /// Whether the server's next frame may be its challenge, which needs a ticket.
    public var awaitsChallenge: Bool {
        if case .waitingForChallenge = state { true } else { false }
    }

    /// Processes the server's next frame.
    ///
    /// - Parameter ticket: the claim of the session that needs the carrier; nil to start a new session. Used only with
    ///   the challenge.
    /// - Throws: ``MuxError`` if the frame is not expected or malformed, no version is in common, the server does not seal
    ///   sessions, or it does not know the token. Nothing of the client's has been opened then.
    public mutating func receive(_ frame: InboundFrame, ticket: Ticket? = nil) throws(MuxError) -> Action {
        if case .waitingForChallenge = state { isResumingSealed = ticket?.keys.isSealed ?? false }
        do throws(MuxError) {
            return try process(frame, ticket)
        } catch {
            switch error.kind {
            case .version, .encryption: throw error
            default: throw isResumingSealed ? MuxError(.altered, error.detail) : error
            }
        }
    }

    private mutating func process(_ frame: InboundFrame, _ ticket: Ticket?) throws(MuxError) -> Action {
        switch (state, frame.header.type) {
        case (.waitingForChallenge, .challenge):
            return try receiveChallenge(frame.payload, ticket)
        case (.waitingForResumed(let resume), .resumed):
            state = .finished
            return try receiveResumed(frame, resume)
        case (.waitingForResumed(let resume), .refused):
            let refusal = try Refusal(frame.payload, of: .refused)
            guard refusal.code == .unknownSession else {
                state = .finished
                // The server seals what it says for good. What asks for patience may come from before the proof.
                guard resume.handshake == nil || !refusal.code.isForGood else {
                    throw MuxError(.altered, "a refusal that is not sealed (\(refusal.code))")
                }
                return .refused(refusal)
            }
            return .denied(try authenticate(resume.challenge, resume.payload, denied: resume.session))
        case (.waitingForWelcome(let transcript, let challenge, let handshake), .welcome):
            state = .finished
            return try receiveWelcome(frame, transcript, challenge, handshake)
        case (.waitingForChallenge, .refused), (.waitingForWelcome, .refused):
            state = .finished
            return try refused(try Refusal(frame.payload, of: .refused))
        case (.waitingForResumed(let resume), let type) where resume.handshake != nil:
            throw MuxError(.altered, "\(type) frame in place of a sealed answer")
        case (.waitingForWelcome(_, _, .some), let type):
            throw MuxError(.altered, "\(type) frame in place of a sealed answer")
        case (_, let type):
            throw MuxError(.unexpectedFrame, "\(type) frame during the handshake")
        }
    }

    // MARK: The requests

    private mutating func receiveChallenge(_ payload: ByteBuffer, _ ticket: Ticket?) throws(MuxError) -> Action {
        let challenge = try Challenge(payload)
        guard challenge.versions.contains(protocolVersion) else {
            let theirs = challenge.versions.map(String.init).joined(separator: ", ")
            let newest = challenge.versions.max() ?? 0
            throw MuxError(
                .version,
                "the server speaks version \(theirs) of the protocol and this client \(protocolVersion); "
                    + "upgrade the \(newest > protocolVersion ? "client" : "server")"
            )
        }
        switch (encryption, challenge.key) {
        case (.off, _), (.anyKey, .some): break
        case (.keys(let keys), let key?):
            guard keys.contains(key) else { return .wrongKey(key) }
        case (.anyKey, nil), (.keys, nil):
            throw MuxError(.encryption, "the server does not seal sessions, or its key was removed on the way")
        }
        guard let ticket else { return .send(try authenticate(challenge, payload)) }
        if case .off = encryption {
        } else if !ticket.keys.isSealed {
            throw MuxError(.encryption, "the session is not sealed, and its way to the server must be")
        }
        return .send(try resume(ticket, challenge, payload))
    }

    /// - Parameter denied: the session that an answer on this carrier has denied.
    private mutating func authenticate(
        _ challenge: Challenge,
        _ payload: ByteBuffer,
        denied: [UInt8]? = nil
    ) throws(MuxError) -> OutboundFrame {
        var authentication = authentication
        authentication.denied = denied
        var transcript = Transcript()
        transcript.append("challenge", payload)
        if case .off = encryption {
            var fields = authentication.unproved
            transcript.append("authenticate", fields.bytes)
            fields.append(FieldReader.proofTag, credentials.proof(over: transcript).bytes)
            state = .waitingForWelcome(transcript, challenge, nil)
            return OutboundFrame(.authenticate, .session, fields.bytes)
        }
        guard let key = challenge.key else { throw MuxError(.encryption, "the server does not seal sessions") }
        var (outer, inner) = (authentication.outer, authentication.inner)
        var handshake = SealedFields.handshake(
            .client(of: key),
            psk: .seal(of: credentials.verifier.storedKey),
            "culvert seal 1",
            [("challenge", payload), ("authenticate", outer.bytes)]
        )
        transcript.append("authenticate", outer.bytes)
        transcript.append("sealed", inner.bytes)
        inner.append(FieldReader.proofTag, credentials.proof(over: transcript).bytes)
        outer.append(SealedFields.Tag.authenticate, try Self.message(inner, &handshake))
        state = .waitingForWelcome(transcript, challenge, OneTime(handshake))
        return OutboundFrame(.authenticate, .session, outer.bytes)
    }

    private mutating func resume(
        _ ticket: Ticket,
        _ challenge: Challenge,
        _ payload: ByteBuffer
    ) throws(MuxError) -> OutboundFrame {
        var transcript = Transcript()
        transcript.append("challenge", payload)
        func sent(_ handshake: OneTime<HandshakeState>?) -> SentResume {
            SentResume(
                transcript: transcript,
                challenge: challenge,
                payload: payload,
                session: ticket.resumption.session,
                key: ticket.keys.resume,
                handshake: handshake
            )
        }
        guard let psk = ticket.keys.seal else {
            var fields = ticket.resumption.unproved
            transcript.append("resume", fields.bytes)
            fields.append(FieldReader.proofTag, transcript.authenticate(ticket.keys.resume).bytes)
            state = .waitingForResumed(sent(nil))
            return OutboundFrame(.resume, .session, fields.bytes)
        }
        var (outer, inner) = (ticket.resumption.outer, ticket.resumption.inner)
        var handshake = SealedFields.handshake(
            .resumingClient,
            psk: psk,
            "culvert seal resume 1",
            [("challenge", payload), ("resume", outer.bytes)]
        )
        transcript.append("resume", outer.bytes)
        transcript.append("sealed", inner.bytes)
        inner.append(FieldReader.proofTag, transcript.authenticate(ticket.keys.resume).bytes)
        outer.append(SealedFields.Tag.resume, try Self.message(inner, &handshake))
        state = .waitingForResumed(sent(OneTime(handshake)))
        return OutboundFrame(.resume, .session, outer.bytes)
    }

    private static func message(
        _ fields: FieldWriter,
        _ handshake: inout HandshakeState
    ) throws(MuxError) -> [UInt8] {
        do throws(NoiseError) {
            return try handshake.write(Array(fields.bytes.readableBytesView))
        } catch {
            throw MuxError(.proof, "the server's key is not one")
        }
    }

    // MARK: The answers

    private func receiveWelcome(
        _ frame: InboundFrame,
        _ transcript: Transcript,
        _ challenge: Challenge,
        _ handshake: OneTime<HandshakeState>?
    ) throws(MuxError) -> Action {
        let answer = try Answer(frame, handshake)
        if let refusal = answer.refusal { return try refused(refusal) }
        let fields = try answer.fields(of: .welcome)
        let welcome = try Welcome(fields)
        let proof = try fields.bytes(FieldReader.proofTag, count: 32)
        var transcript = transcript
        let resumeKey = credentials.resumeKey(transcript)
        transcript.append("welcome", fields.unproved)
        guard credentials.isServerProof(proof, over: transcript) else {
            throw MuxError(.proof, "the server does not know the token")
        }
        return .established(
            Grant(
                welcome: welcome,
                software: challenge.software,
                keys: SessionKeys(resume: resumeKey, seal: answer.resumptionSecret),
                serverKey: answer.seal == nil ? nil : challenge.key,
                seal: answer.seal
            )
        )
    }

    /// A refusal of AUTHENTICATE.
    ///
    /// - Throws: ``MuxError`` if the path has denied the client's session.
    private func refused(_ refusal: Refusal) throws(MuxError) -> Action {
        guard refusal.code != .altered else {
            throw MuxError(.altered, "the server has not denied the session, so something on the way has")
        }
        return .refused(refusal)
    }

    private func receiveResumed(_ frame: InboundFrame, _ resume: SentResume) throws(MuxError) -> Action {
        let answer = try Answer(frame, resume.handshake)
        if let refusal = answer.refusal { return .refused(refusal) }
        let fields = try answer.fields(of: .resumed)
        let received: UInt64 = try fields.number(1)
        var transcript = resume.transcript
        transcript.append("resumed", fields.unproved)
        let expected = transcript.authenticate(resume.key).bytes
        guard isEqual(try fields.bytes(FieldReader.proofTag, count: 32), expected) else {
            throw MuxError(.proof, "the server does not know the session")
        }
        return .resumed(received: received, ticket: try fields.ticket(2), seal: answer.seal)
    }

    /// The server's answer to a request: the payload of the frame, or what is sealed in it.
    private struct Answer {
        private let type: FrameType
        private let payload: ByteBuffer
        private(set) var refusal: Refusal?
        private(set) var seal: OneTime<CarrierSeal>?
        private(set) var resumptionSecret: SymmetricKey?

        /// - Throws: ``MuxError`` if the answer does not come from an end with the right keys.
        init(_ frame: InboundFrame, _ handshake: OneTime<HandshakeState>?) throws(MuxError) {
            guard let handshake else {
                (type, payload) = (frame.header.type, frame.payload)
                return
            }
            guard let state = handshake.take() else { throw MuxError(.unexpectedFrame, "a second answer") }
            let answer = try SealedFields.read(frame, state)
            (type, payload) = (answer.type, answer.payload)
            (resumptionSecret, seal) = (answer.resumptionSecret, answer.seal)
            if type == .refused { refusal = try Refusal(payload, of: .refused) }
        }

        func fields(of expected: FrameType) throws(MuxError) -> FieldReader {
            guard type == expected else { throw MuxError(.unexpectedFrame, "\(type) frame during the handshake") }
            return try FieldReader(payload, of: type)
        }
    }
}
