public import Crypto

/// The key of an account with a CA: P-256, with ES256 signatures (RFC 7518, section 3.4).
public struct AccountKey: Sendable {
    private let key: P256.Signing.PrivateKey

    /// A new key.
    public init() { key = P256.Signing.PrivateKey() }

    /// A key that exists.
    public init(_ key: P256.Signing.PrivateKey) { self.key = key }

    /// A key in PEM; nil if it is no key on P-256.
    public init?(pem: String) {
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) else { return nil }
        self.key = key
    }

    /// The key in PEM.
    public var pem: String { key.pemRepresentation }

    /// The public key.
    var publicKey: P256.Signing.PublicKey { key.publicKey }

    /// The public key as JWK. Its members are those and in the order that the thumbprint wants (RFC 7638, section 3).
    var jwk: JSONText {
        let point = Array(key.publicKey.rawRepresentation)
        return .object([
            ("crv", .string("P-256")), ("kty", .string("EC")), ("x", .string(Base64URL.encoded(point.prefix(32)))),
            ("y", .string(Base64URL.encoded(point.dropFirst(32)))),
        ])
    }

    /// The thumbprint of the public key (RFC 7638).
    var thumbprint: String { Self.thumbprint(of: jwk) }

    /// The thumbprint of a JWK whose members are the required ones, in order.
    static func thumbprint(of jwk: JSONText) -> String {
        Base64URL.encoded(SHA256.hash(data: Array(jwk.text.utf8)))
    }

    /// The signature of an input: R and S, 32 bytes each.
    func signature(of input: some Sequence<UInt8>) throws -> [UInt8] {
        Array(try key.signature(for: Array(input)).rawRepresentation)
    }
}
