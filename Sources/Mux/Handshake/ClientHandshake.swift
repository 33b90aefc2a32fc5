import Crypto
import NIOCore
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
        case waitingForWelcome(Transcript, Challenge)
        case waitingForResumed(Transcript, Challenge, ByteBuffer, SymmetricKey)
        case finished
    }

    /// The result of a frame from the server.
    public enum Action: Sendable {
        /// Send this frame and wait for the next one.
        case send(OutboundFrame)
        /// The server has proved that it knows the token, and the session exists.
        case established(Grant)
        /// The carrier belongs to the session, and the server has received `received` of its counted frames.
        case resumed(received: UInt64, ticket: [UInt8])
        /// The server does not know the session, which is therefore over. Send this frame and wait for a new session.
        case forgotten(OutboundFrame)
        /// The server has refused the request.
        case refused(Refusal)
    }

    /// The client's claim to a session, needed to resume it on a new carrier.
    public struct Ticket: Sendable {
        /// The request to resume.
        public let resumption: Resumption
        /// The session's key, from its grant.
        public let key: SymmetricKey

        /// Creates a ticket; the resumption's epoch and nonce must be fresh.
        public init(_ resumption: Resumption, key: SymmetricKey) {
            self.resumption = resumption
            self.key = key
        }
    }

    /// A new session from the client's side.
    public struct Grant: Sendable {
        /// The server's terms.
        public let welcome: Welcome
        /// The server's software, for the log.
        public let software: String
        /// The key with which a new carrier proves that it belongs to the session.
        public let resumeKey: SymmetricKey
    }

    private let credentials: Credentials
    private let authentication: Authentication
    private var state = State.waitingForChallenge

    /// Prepares a handshake; `authentication.nonce` must be fresh.
    public init(credentials: Credentials, authentication: Authentication) {
        self.credentials = credentials
        self.authentication = authentication
    }

    /// Whether the server's next frame may be its challenge, which needs a ticket.
    public var awaitsChallenge: Bool {
        if case .waitingForChallenge = state { true } else { false }
    }

    /// Processes the server's next frame.
    ///
    /// - Parameter ticket: the claim of the session that needs the carrier; nil to start a new session. Used only with
    ///   the challenge.
    /// - Throws: ``MuxError`` if the frame is not expected or malformed, no version is in common, or the server does
    ///   not know the token. Nothing of the client's has been opened then.
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
            throw MuxError(.unexpectedFrame, "\(type) frame during the handshake")
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
