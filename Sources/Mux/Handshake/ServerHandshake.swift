import Crypto
import NIOCore

/// The server's half of the opening exchange on a new carrier (protocol page, section 5).
///
/// Nothing is allocated for a client before its proof holds: no session, no listener, no table.
public struct ServerHandshake: Sendable {
    private enum State {
        case waitingForClient(mayResume: Bool)
        case verifying(Transcript, Authentication, proof: [UInt8])
        case resuming(Transcript, proof: [UInt8])
        case finished
    }

    /// What the client's frame leads to.
    public enum Action: Sendable {
        /// Look up the verifier of this client, and call ``verify(_:decoySecret:)`` with it.
        case verify(Authentication)
        /// The client wants to resume. Look up the session's key, and call ``verifyResume(_:decoySecret:)`` with it;
        /// where that is in vain, send ``refuse(_:)`` with `.unknownSession`, and the client authenticates anew on the
        /// same carrier.
        case resume(Resumption)
    }

    private let challengePayload: ByteBuffer
    private var state = State.waitingForClient(mayResume: true)

    /// Prepares an opening.
    ///
    /// - Parameters:
    ///   - nonce: 32 fresh random bytes, used for this carrier alone.
    ///   - software: our name and version, for the client's log.
    public init(nonce: [UInt8], software: String) {
        self.challengePayload = Challenge(nonce: nonce, software: software).payload
    }

    /// The frame with which the server speaks first.
    public var challenge: OutboundFrame { OutboundFrame(.challenge, .session, challengePayload) }

    /// Takes the client's next frame.
    ///
    /// - Throws: ``MuxError`` for a frame that is not due, a payload that cannot be read, or another version.
    public mutating func receive(_ frame: InboundFrame) throws(MuxError) -> Action {
        switch (state, frame.header.type) {
        case (.waitingForClient, .authenticate):
            let fields = try FieldReader(frame.payload, of: .authenticate)
            let authentication = try Authentication(fields)
            guard authentication.version == protocolVersion else {
                throw MuxError(.version, "the client speaks version \(authentication.version)")
            }
            var transcript = Transcript()
            transcript.append("challenge", challengePayload)
            transcript.append("authenticate", fields.unproved)
            state = .verifying(transcript, authentication, proof: try fields.bytes(FieldReader.proofTag, count: 32))
            return .verify(authentication)
        case (.waitingForClient(mayResume: true), .resume):
            let fields = try FieldReader(frame.payload, of: .resume)
            let resumption = try Resumption(fields)
            var transcript = Transcript()
            transcript.append("challenge", challengePayload)
            transcript.append("resume", fields.unproved)
            state = .resuming(transcript, proof: try fields.bytes(FieldReader.proofTag, count: 32))
            return .resume(resumption)
        case (_, let type):
            throw MuxError(.unexpectedFrame, "\(type) frame during the opening")
        }
    }

    /// A verified client: what the server needs to grant the session.
    public struct Verified: Sendable {
        /// What the client said of itself, now proved.
        public let authentication: Authentication
        /// The key under which the session's later carriers prove themselves.
        public let resumeKey: SymmetricKey
        let transcript: Transcript
        let verifier: Verifier

        /// The frame that grants the session on `terms`.
        public func welcome(_ terms: Welcome) -> OutboundFrame {
            var transcript = transcript
            var fields = terms.unproved
            transcript.append("welcome", fields.bytes)
            fields.append(FieldReader.proofTag, verifier.proof(over: transcript).bytes)
            return OutboundFrame(.welcome, .session, fields.bytes)
        }
    }

    /// Checks the proof, with the same work whether the client is known or not.
    ///
    /// - Parameters:
    ///   - verifier: the client's, nil where its name is not known.
    ///   - decoySecret: random bytes of this process, from which unknown clients get their verifiers.
    /// - Returns: nil where the client must be refused.
    public mutating func verify(_ verifier: Verifier?, decoySecret: SymmetricKey) -> Verified? {
        guard case .verifying(let transcript, let authentication, let proof) = state else { return nil }
        state = .finished
        let used = verifier ?? .decoy(for: authentication.id, secret: decoySecret)
        guard let key = used.resumeKey(proof: proof, over: transcript), verifier != nil else { return nil }
        return Verified(authentication: authentication, resumeKey: key, transcript: transcript, verifier: used)
    }

    /// A client that has proved to hold the session's key: what the server needs to take its carrier.
    public struct Resumed: Sendable {
        let transcript: Transcript
        let key: SymmetricKey

        /// The frame that takes the carrier, and says how many counted frames have come.
        ///
        /// - Parameter ticket: the client's next one, as in ``Welcome``.
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

    /// Checks the proof of RESUME, with the same work whether the session is known or not.
    ///
    /// - Parameters:
    ///   - key: the session's, nil where it is not known.
    ///   - decoySecret: random bytes of this process.
    /// - Returns: nil where the client has to authenticate anew, on this carrier. One try on each is all there is.
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

    /// The frame that says no. The client reads the text; it must be the same for an unknown client and a wrong proof.
    public func refuse(_ refusal: Refusal) -> OutboundFrame { refusal.frame(.refused) }
}
