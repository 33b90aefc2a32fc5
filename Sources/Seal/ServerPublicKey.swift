import ByteText
import Crypto

/// A server's static public key (X25519), by which a client knows its server.
public struct ServerPublicKey: Sendable, CustomStringConvertible {
    static let prefix = "culvert-key-1:"

    let key: Curve25519.KeyAgreement.PublicKey

    init(_ key: Curve25519.KeyAgreement.PublicKey) {
        self.key = key
    }

    /// Creates a key from its 32 bytes; nil for another number of bytes.
    public init?(rawRepresentation: [UInt8]) {
        guard let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: rawRepresentation) else { return nil }
        self.key = key
    }

    /// Reads `culvert-key-1:` and 44 characters of canonical base64. Nil for anything else.
    public init?(text: String) {
        guard let bytes = KeyText.bytes(of: text[...], after: Self.prefix) else { return nil }
        self.init(rawRepresentation: bytes)
    }

    /// The 32 bytes.
    public var rawRepresentation: [UInt8] { Array(key.rawRepresentation) }

    /// `culvert-key-1:` and the key in base64: 58 characters.
    public var text: String { Self.prefix + Base64.encoded(key.rawRepresentation) }

    /// A short text that people compare: 100 bits in five groups, such as `7KQM-2X0A-HF4T-9WCE-5RJB`.
    ///
    /// It is the beginning of SHA-256 over `culvert fingerprint 1`, a zero byte and the key, in Crockford's base32. That
    /// alphabet has no I, L, O and U, and each letter has one case, so 20 characters can be read aloud. To find another
    /// key with the same fingerprint takes about 2^100 keys. Decimal digits would take 31 characters, and words would
    /// need a list in one language.
    public var fingerprint: String {
        var hash = SHA256()
        hash.update(data: Array("culvert fingerprint 1".utf8) + [0])
        hash.update(data: rawRepresentation)
        return KeyText.groups(of: Array(hash.finalize()))
    }

    /// The text.
    public var description: String { text }
}

extension ServerPublicKey: Hashable {
    /// Compares the bytes of both keys.
    public static func == (left: ServerPublicKey, right: ServerPublicKey) -> Bool {
        left.rawRepresentation == right.rawRepresentation
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(rawRepresentation)
    }
}
