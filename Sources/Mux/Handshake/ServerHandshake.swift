import Crypto
import NIOCore
import Secrets

/// The server's side of the handshake on a new carrier (protocol page, section 5).
///
/// Before the client's proof holds, no session, listener or table entry exists for it.
public struct ServerHandshake: Sendable {
    private enum State {
        case waitingForClient(mayResume: Bool)
        case verifying(Transcript, Authentication, proof: [UInt8])
        case resuming(Transcript, proof: [UInt8])
        case finished
    }

    /// The lookup that a frame from the client requires.
    public enum Action: Sendable {
        /// Look up the client's verifier and call ``verify(_:decoySecret:)``.
        case verify(Authentication)
        /// Look up the session's key and call ``verifyResume(_:decoySecret:)``. If that fails, send ``refuse(_:)`` with
        /// `.unknownSession`; the client then authenticates on the same carrier.
        case resume(Resumption)
    }

    /// The payload of ``challenge``.
    package let challengePayload: ByteBuffer
    private var state = State.waitingForClient(mayResume: true)

    /// Prepares a handshake.
    ///
    /// - Parameters:
    ///   - nonce: 32 fresh random bytes, for this carrier alone.
    ///   - software: the server's name and version, for the client's log.
    public init(nonce: [UInt8], software: String) {
        self.challengePayload = Challenge(nonce: nonce, software: software).payload
    }

    /// Continues the handshake of another server, which has sent a CHALLENGE and received a RESUME.
    ///
    /// - Parameters:
    ///   - challenge: the payload of CHALLENGE.
    ///   - resume: the payload of RESUME.
    /// - Returns: the handshake, ready for ``verifyResume(_:decoySecret:)``.
    /// - Throws: ``MuxError`` if a payload is malformed.
    package static func relayed(
        challenge: ByteBuffer,
        resume: ByteBuffer
    ) throws(MuxError) -> (ServerHandshake, Resumption) {
        _ = try Challenge(challenge)
        var handshake = ServerHandshake(challengePayload: challenge)
        let resumption = try handshake.receiveResume(resume)
        return (handshake, resumption)
    }

    private init(challengePayload: ByteBuffer) {
        self.challengePayload = challengePayload
    }

    private mutating func receiveResume(_ payload: ByteBuffer) throws(MuxError) -> Resumption {
        let fields = try FieldReader(payload, of: .resume)
        let resumption = try Resumption(fields)
        var transcript = Transcript()
        transcript.append("challenge", challengePayload)
        transcript.append("resume", fields.unproved)
        state = .resuming(transcript, proof: try fields.bytes(FieldReader.proofTag, count: 32))
        return resumption
    }

    /// The server's first frame.
    public var challenge: OutboundFrame { OutboundFrame(.challenge, .session, challengePayload) }

    /// Processes the client's next frame.
    ///
    /// - Throws: ``MuxError`` if the frame is not expected or malformed, or the version is not supported.
    public mutating func receive(_ frame: InboundFrame) throws(MuxError) -> Action {
        switch (state, frame.header.type) {
        case (.waitingForClient, .authenticate):
            let fields = try FieldReader(frame.payload, of: .authenticate)
            let authentication = try Authentication(fields)
            guard authentication.version == protocolVersion else {
                throw MuxError(
                    .version,
                    "the client speaks version \(authentication.version) of the protocol and this server "
                        + "\(protocolVersion); upgrade the "
                        + (authentication.version > protocolVersion ? "server" : "client")
                )
            }
            var transcript = Transcript()
            transcript.append("challenge", challengePayload)
            transcript.append("authenticate", fields.unproved)
            state = .verifying(transcript, authentication, proof: try fields.bytes(FieldReader.proofTag, count: 32))
            return .verify(authentication)
        case (.waitingForClient(mayResume: true), .resume):
            return .resume(try receiveResume(frame.payload))
        case (_, let type):
            throw MuxError(.unexpectedFrame, "\(type) frame during the handshake")
        }
    }

    /// A verified client.
    public struct Verified: Sendable {
        /// The client's statements about itself, now proved.
        public let authentication: Authentication
        /// The key with which later carriers prove that they belong to the session.
        public let resumeKey: SymmetricKey
        let transcript: Transcript
        let verifier: Verifier

        /// Returns the frame that grants the session on `terms`.
        public func welcome(_ terms: Welcome) -> OutboundFrame {
            var transcript = transcript
            var fields = terms.unproved
            transcript.append("welcome", fields.bytes)
            fields.append(FieldReader.proofTag, verifier.proof(over: transcript).bytes)
            return OutboundFrame(.welcome, .session, fields.bytes)
        }
    }

    /// Checks the proof, with equal work for known and unknown clients.
    ///
    /// - Parameters:
    ///   - verifier: the client's verifier; nil if its id is unknown.
    ///   - decoySecret: random bytes of this process, from which unknown clients get a verifier.
    /// - Returns: nil if the client must be refused.
    public mutating func verify(_ verifier: Verifier?, decoySecret: SymmetricKey) -> Verified? {
        guard case .verifying(let transcript, let authentication, let proof) = state else { return nil }
        state = .finished
        let used = verifier ?? .decoy(for: authentication.id, secret: decoySecret)
        guard let key = used.resumeKey(proof: proof, over: transcript), verifier != nil else { return nil }
        return Verified(authentication: authentication, resumeKey: key, transcript: transcript, verifier: used)
    }

    /// A client that has proved knowledge of the session's key.
    public struct Resumed: Sendable {
        let transcript: Transcript
        let key: SymmetricKey

        /// Returns the frame that accepts the carrier and reports the counted frames received.
        ///
        /// - Parameter ticket: the client's next ticket, as in ``Welcome``.
        public func resumed(received: UInt64, ticket: [UInt8] = []) -> OutboundFrame {
            var transcript = transcript
            var fields = FieldWriter()
            fields.append(1, number: received)
            if !ticket.isEmpty { fields.append(2, ticket) }
            transcript.append("resumed", fields.bytes)
            fields.append(FieldReader.proofTag, transcript.authenticate(key).bytes)
            return OutboundFrame(.resumed, .session, fields.bytes)
        }
    }

    /// Checks the proof of RESUME, with equal work for known and unknown sessions.
    ///
    /// - Parameters:
    ///   - key: the session's key; nil if the session is unknown.
    ///   - decoySecret: random bytes of this process.
    /// - Returns: nil if the client must authenticate on this carrier. A carrier allows one attempt to resume.
    public mutating func verifyResume(_ key: SymmetricKey?, decoySecret: SymmetricKey) -> Resumed? {
        guard case .resuming(let transcript, let proof) = state else { return nil }
        let isRight = isEqual(proof, transcript.authenticate(key ?? decoySecret).bytes)
        guard isRight, let key else {
            state = .waitingForClient(mayResume: false)
            return nil
        }
        state = .finished
        return Resumed(transcript: transcript, key: key)
    }

    /// Returns the frame that refuses the client. Its text must be the same for an unknown client and a wrong proof.
    public func refuse(_ refusal: Refusal) -> OutboundFrame { refusal.frame(.refused) }
}
