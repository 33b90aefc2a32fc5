/// A breach of Noise, or the end of a key.
///
/// No case has bytes of the peer or of a key.
public enum NoiseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A message of this many bytes, which is too short or too long.
    case length(Int)
    /// A message that was not sealed with this key and for this place: altered, repeated, moved or forged.
    case authentication
    /// A public key whose shared secret is zero for every private key (Noise, section 12.1).
    case lowOrderPoint
    /// No nonce is left.
    case exhausted
    /// A call that the state does not allow, such as a message to write while the peer's is due.
    case outOfTurn
    /// A call after a failure. The keys are gone.
    case ended

    /// One line for the log.
    public var description: String {
        switch self {
        case .length(let count): "a sealed message of \(count) bytes"
        case .authentication: "a sealed message was altered, repeated, lost or moved"
        case .lowOrderPoint: "a public key of low order"
        case .exhausted: "the seal has no nonce left"
        case .outOfTurn: "a message of the seal's handshake out of turn"
        case .ended: "the seal has failed before"
        }
    }
}
