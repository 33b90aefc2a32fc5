/// The handshake patterns that sealed carriers use (Noise Protocol Framework, revision 34, sections 7 and 9).
///
/// ```
/// NKpsk0:                        NNpsk0:
///   <- s                           -> psk, e
///   ...                            <- e, ee
///   -> psk, e, es
///   <- e, ee
/// ```
enum HandshakePattern: Sendable, Hashable, CaseIterable {
    /// The initiator knows the responder's static key: a new session.
    case nkPSK0
    /// No static keys: a resumed session, whose last handshake gave the psk.
    case nnPSK0

    /// A step of a message (section 5.3; `psk`: section 9.2).
    enum Token: Sendable, Hashable {
        /// The writer's ephemeral key.
        case e
        /// Diffie-Hellman of both ephemeral keys.
        case ee
        /// Diffie-Hellman of the initiator's ephemeral and the responder's static key.
        case es
        /// The pre-shared key.
        case psk
    }

    /// The name that the hash begins with (section 8).
    var protocolName: String {
        switch self {
        case .nkPSK0: "Noise_NKpsk0_25519_AESGCM_SHA256"
        case .nnPSK0: "Noise_NNpsk0_25519_AESGCM_SHA256"
        }
    }

    /// The tokens of each message. The initiator writes the first.
    var messages: [[Token]] {
        switch self {
        case .nkPSK0: [[.psk, .e, .es], [.e, .ee]]
        case .nnPSK0: [[.psk, .e], [.e, .ee]]
        }
    }
}
