import Crypto
import Secrets

/// The keys with which a session gets further carriers. Both ends have them from the session's first handshake.
public struct SessionKeys: Sendable {
    /// Proves that a carrier belongs to the session.
    public let resume: SymmetricKey
    /// The psk of the seals of further carriers; nil if the session is not sealed.
    ///
    /// All carriers of a session begin with this one, whatever their order. Each has an exchange of fresh keys of its own
    /// besides, so this key opens nothing that was sealed.
    public let seal: SymmetricKey?

    /// Creates the keys of a session.
    public init(resume: SymmetricKey, seal: SymmetricKey? = nil) {
        (self.resume, self.seal) = (resume, seal)
    }

    /// Whether the session is sealed.
    public var isSealed: Bool { seal != nil }
}

extension SymmetricKey {
    /// The psk of a session's first carrier. Both ends have `storedKey`, and a server has nothing more.
    static func seal(of storedKey: [UInt8]) -> SymmetricKey {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("culvert seal psk 1".utf8),
            using: SymmetricKey(data: storedKey)
        )
        return SymmetricKey(data: code)
    }
}
