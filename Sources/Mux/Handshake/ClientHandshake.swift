import Crypto
import NIOCore

/// The client's half of the opening exchange on a new carrier (protocol page, section 5).
///
/// ```
/// server: CHALLENGE -> client: AUTHENTICATE -> server: WELCOME | REFUSED
/// server: CHALLENGE -> client: RESUME -> server: RESUMED
///                                                REFUSED unknownSession -> client: AUTHENTICATE ...
/// ```
public struct ClientHandshake: Sendable {
    private enum State {
        case waitingForChallenge
        case waitingForWelcome(Transcript, Challenge)
        case waitingForResumed(Transcript, Challenge, ByteBuffer, SymmetricKey)
        case finished
    }

    /// What a frame of the server's leads to.
    public enum Action: Sendable {
        /// Send this and wait on.
        case send(OutboundFrame)
        /// The server knows the token, and the session stands.
        case established(Grant)
        /// The session has this carrier now, and the server has received so many of its counted frames.
        case resumed(received: UInt64, ticket: [UInt8])
        /// The server does not know the session, which is over therefore: send this and wait on for another one.
        case forgotten(OutboundFrame)
        /// The server said no.
        case refused(Refusal)
    }

    /// What a session needs to get a new carrier.
    public struct Ticket: Sendable {
        /// What is asked for.
        public let resumption: Resumption
        /// The session's key, from its grant.
        public let key: SymmetricKey

        /// Creates a ticket; the resumption's epoch and nonce must be fresh.
        public init(_ resumption: Resumption, key: SymmetricKey) {
            self.resumption = resumption
            self.key = key
        }
    }

    /// A session as the client knows it.
    public struct Grant: Sendable {
        /// The server's terms.
        public let welcome: Welcome
        /// The server's software, for the log.
        public let software: String
        /// The key under which a new carrier proves that it belongs to the session.
        public let resumeKey: SymmetricKey
    }

    private let credentials: Credentials
    private let authentication: Authentication
    private var state = State.waitingForChallenge

    /// Prepares an opening; `authentication.nonce` must be fresh.
    public init(credentials: Credentials, authentication: Authentication) {
        self.credentials = credentials
        self.authentication = authentication
    }

    /// Whether the server's next frame may be its challenge, which is when a ticket is asked for.
    public var awaitsChallenge: Bool {
        if case .waitingForChallenge = state { true } else { false }
    }

    /// Takes the server's next frame.
    ///
    /// - Parameter ticket: of the session that wants the carrier; nil to begin a new one. Looked at with the challenge.
    /// - Throws: ``MuxError`` for a frame that is not due, a payload that cannot be read, no common version, or a
    ///   server that does not know the token: then nothing of the client's has been opened yet.
    public mutating func receive(_ frame: InboundFrame, ticket: Ticket? = nil) throws(MuxError) -> Action {
        switch (state, frame.header.type) {
        case (.waitingForChallenge, .challenge):
            let challenge = try Challenge(frame.payload)
            guard challenge.versions.contains(protocolVersion) else {
                let theirs = challenge.versions.map(String.init).joined(separator: ", ")
                let newest = challenge.versions.max() ?? 0
                throw MuxError(
                    .version,
                    "the server speaks version \(theirs) of the protocol and this client \(protocolVersion); "
                        + "upgrade the \(newest > protocolVersion ? "client" : "server")"
                )
            }
            guard let ticket else { return .send(authenticate(challenge, frame.payload)) }
            var transcript = Transcript()
            var fields = ticket.resumption.unproved
            transcript.append("challenge", frame.payload)
            transcript.append("resume", fields.bytes)
            fields.append(FieldReader.proofTag, transcript.authenticate(ticket.key).bytes)
            state = .waitingForResumed(transcript, challenge, frame.payload, ticket.key)
            return .send(OutboundFrame(.resume, .session, fields.bytes))
        case (.waitingForResumed(var transcript, _, _, let key), .resumed):
            let fields = try FieldReader(frame.payload, of: .resumed)
            let received: UInt64 = try fields.number(1)
            transcript.append("resumed", fields.unproved)
            guard isEqual(try fields.bytes(FieldReader.proofTag, count: 32), transcript.authenticate(key).bytes) else {
                throw MuxError(.proof, "the server does not know the session")
            }
            state = .finished
            return .resumed(received: received, ticket: try fields.ticket(2))
        case (.waitingForResumed(_, let challenge, let payload, _), .refused):
            let refusal = try Refusal(frame.payload, of: .refused)
            guard refusal.code == .unknownSession else {
                state = .finished
                return .refused(refusal)
            }
            return .forgotten(authenticate(challenge, payload))
        case (.waitingForWelcome(var transcript, let challenge), .welcome):
            let fields = try FieldReader(frame.payload, of: .welcome)
            let welcome = try Welcome(fields)
            let proof = try fields.bytes(FieldReader.proofTag, count: 32)
            let resumeKey = credentials.resumeKey(transcript)
            transcript.append("welcome", fields.unproved)
            guard credentials.isServerProof(proof, over: transcript) else {
                throw MuxError(.proof, "the server does not know the token")
            }
            state = .finished
            return .established(Grant(welcome: welcome, software: challenge.software, resumeKey: resumeKey))
        case (.waitingForChallenge, .refused), (.waitingForWelcome, .refused):
            state = .finished
            return .refused(try Refusal(frame.payload, of: .refused))
        case (_, let type):
            throw MuxError(.unexpectedFrame, "\(type) frame during the opening")
        }
    }

    private mutating func authenticate(_ challenge: Challenge, _ payload: ByteBuffer) -> OutboundFrame {
        var transcript = Transcript()
        transcript.append("challenge", payload)
        var fields = authentication.unproved
        transcript.append("authenticate", fields.bytes)
        fields.append(FieldReader.proofTag, credentials.proof(over: transcript).bytes)
        state = .waitingForWelcome(transcript, challenge)
        return OutboundFrame(.authenticate, .session, fields.bytes)
    }
}
