import Crypto

/// What a handshake leaves to its carrier: the keys of both directions, and what binds other proofs to them.
///
/// It cannot be copied, and it goes with the carrier. swift-crypto overwrites the keys then.
public struct CarrierSeal: ~Copyable, Sendable {
    /// Seals what this end sends.
    public var sealer: Sealer
    /// Opens what the peer sends.
    public var opener: Opener
    /// 32 bytes that are the same at both ends of this handshake, and in no other (Noise, section 11.2). No secret.
    public let handshakeHash: [UInt8]
    /// The psk with which a further carrier of the session is sealed, 32 bytes. It gives away no key of this carrier.
    public let resumptionSecret: SymmetricKey

    init(_ symmetric: SymmetricState, isInitiator: Bool) {
        let keys = symmetric.split()
        sealer = Sealer(isInitiator ? keys.initiator : keys.responder)
        opener = Opener(isInitiator ? keys.responder : keys.initiator)
        handshakeHash = symmetric.hash
        resumptionSecret = symmetric.export("culvert resume 1")
    }
}
