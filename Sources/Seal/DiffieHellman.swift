import Crypto

/// X25519 (Noise, section 12.1; RFC 7748).
enum DiffieHellman {
    /// Bytes of a public key.
    static let keyLength = 32

    /// Returns the shared secret.
    ///
    /// swift-crypto does not report a zero secret, which a peer forces with a point of low order. Noise leaves the check
    /// to the protocol (section 12.1). Here the secret must depend on both ends, so zero is refused.
    ///
    /// - Throws: ``NoiseError/lowOrderPoint``.
    static func sharedSecret(
        _ key: Curve25519.KeyAgreement.PrivateKey,
        _ peer: Curve25519.KeyAgreement.PublicKey
    ) throws(NoiseError) -> SymmetricKey {
        guard let secret = try? key.sharedSecretFromKeyAgreement(with: peer) else { throw .lowOrderPoint }
        // All bytes are read, so the time does not depend on them.
        let bits = secret.withUnsafeBytes { $0.reduce(UInt8(0)) { $0 | $1 } }
        guard bits != 0 else { throw .lowOrderPoint }
        return SymmetricKey(data: secret)
    }
}
