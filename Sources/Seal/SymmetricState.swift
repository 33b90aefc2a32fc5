import Crypto

/// The chaining key, the hash of the handshake, and the key between two Diffie-Hellman operations (Noise, section 5.2),
/// with SHA-256 (section 12.5).
///
/// Secrets are values of swift-crypto, which overwrites their memory when the last copy goes.
struct SymmetricState: Sendable {
    private static let hashLength = 32

    private var chainingKey: SymmetricKey
    /// The hash of the prologue, of all public keys and of all messages so far. It is no secret.
    private(set) var hash: [UInt8]
    private var cipher: CipherState?

    /// InitializeSymmetric.
    init(protocolName: String) {
        let name = Array(protocolName.utf8)
        let missing = Self.hashLength - name.count
        hash = missing < 0 ? Array(SHA256.hash(data: name)) : name + [UInt8](repeating: 0, count: missing)
        chainingKey = SymmetricKey(data: hash)
    }

    /// MixHash.
    mutating func mixHash(_ data: [UInt8]) {
        var next = SHA256()
        next.update(data: hash)
        next.update(data: data)
        hash = Array(next.finalize())
    }

    /// MixKey.
    mutating func mixKey(_ material: SymmetricKey) {
        let keys = derive(2, from: material)
        chainingKey = keys[0]
        cipher = CipherState(key: keys[1])
    }

    /// MixKeyAndHash (section 9.1).
    mutating func mixKeyAndHash(_ material: SymmetricKey) {
        let keys = derive(3, from: material)
        chainingKey = keys[0]
        keys[1].withUnsafeBytes { mixHash(Array($0)) }
        cipher = CipherState(key: keys[2])
    }

    /// EncryptAndHash. Before the first key the text travels as it is.
    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(NoiseError) -> [UInt8] {
        let text = try cipher?.encrypt(plaintext, authenticating: hash) ?? plaintext
        mixHash(text)
        return text
    }

    /// DecryptAndHash.
    mutating func decryptAndHash(_ text: [UInt8]) throws(NoiseError) -> [UInt8] {
        let plaintext = try cipher?.decrypt(text, authenticating: hash) ?? text
        mixHash(text)
        return plaintext
    }

    /// Split: the keys of the initiator's and of the responder's messages.
    func split() -> (initiator: CipherState, responder: CipherState) {
        let keys = derive(2, from: SymmetricKey(data: [UInt8]()))
        return (CipherState(key: keys[0]), CipherState(key: keys[1]))
    }

    /// Derives a further key, which gives away neither the chaining key nor the keys of ``split()``.
    ///
    /// It is HKDF of the same chaining key, whose context `split` leaves empty, with the label and the hash as context.
    func export(_ label: String) -> SymmetricKey {
        let context = Array(label.utf8) + [0] + hash
        return chainingKey.withUnsafeBytes { salt in
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: [UInt8]()),
                salt: salt,
                info: context,
                outputByteCount: Self.hashLength
            )
        }
    }

    /// HKDF of section 4.3, which is that of RFC 5869 without a context: keys of 32 bytes.
    private func derive(_ count: Int, from material: SymmetricKey) -> [SymmetricKey] {
        let keys = chainingKey.withUnsafeBytes { salt in
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: material,
                salt: salt,
                info: [UInt8](),
                outputByteCount: count * Self.hashLength
            )
        }
        return keys.withUnsafeBytes { bytes in
            (0..<count).map { index in
                SymmetricKey(data: bytes.dropFirst(index * Self.hashLength).prefix(Self.hashLength))
            }
        }
    }
}
