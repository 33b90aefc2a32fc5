import Crypto
import NIOCore

/// The client's half of the opening exchange on a new carrier, for a new session (protocol page, section 5).
///
/// ```
/// server: CHALLENGE -> client: AUTHENTICATE -> server: WELCOME | REFUSED
/// ```
public struct ClientOpening: Sendable {
    private enum State {
        case waitingForChallenge
        case waitingForWelcome(Transcript, Challenge)
        case finished
    }

    /// What a frame of the server's leads to.
    public enum Action: Sendable {
        /// Send this and wait on.
        case send(OutboundFrame)
        /// The server knows the token, and the session stands.
        case established(Grant)
        /// The server said no.
        case refused(Refusal)
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

    /// Takes the server's next frame.
    ///
    /// - Throws: ``MuxError`` for a frame that is not due, a payload that cannot be read, no common version, or a
    ///   server that does not know the token: then nothing of the client's has been opened yet.
    public mutating func receive(_ frame: InboundFrame) throws(MuxError) -> Action {
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
            var transcript = Transcript()
            transcript.append("challenge", frame.payload)
            var fields = authentication.unproved
            transcript.append("authenticate", fields.bytes)
            fields.append(FieldReader.proofTag, credentials.proof(over: transcript).bytes)
            state = .waitingForWelcome(transcript, challenge)
            return .send(OutboundFrame(.authenticate, .session, fields.bytes))
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
}
