import Crypto

/// The ways to prove that a name leads to this server.
public enum ChallengeKind: String, Sendable, Hashable, CaseIterable {
    /// A certificate in a TLS handshake on port 443 (RFC 8737).
    case tlsALPN01 = "tls-alpn-01"
    /// A file on port 80 (RFC 8555, section 8.3).
    case http01 = "http-01"

    /// The port that the CA connects to.
    public var port: Int {
        switch self {
        case .tlsALPN01: 443
        case .http01: 80
        }
    }
}

/// What this server shows a CA that asks whether it has a name.
public struct ChallengeAnswer: Sendable, Hashable {
    /// The way.
    public let kind: ChallengeKind
    /// The name to prove.
    public let name: CertificateName
    /// What the CA asks for, in the alphabet of Base64 for URLs.
    public let token: String
    /// What it wants to see.
    public let keyAuthorization: String

    /// Nil for a token that the CA may not use (RFC 8555, section 8.1).
    init?(_ kind: ChallengeKind, _ name: CertificateName, token: String, key: AccountKey) {
        guard token.utf8.count <= ACMELimits.token, Base64URL.isText(token) else { return nil }
        self.kind = kind
        self.name = name
        self.token = token
        keyAuthorization = "\(token).\(key.thumbprint)"
    }

    /// The SHA-256 of the key authorization, for the certificate of tls-alpn-01.
    var digest: [UInt8] { Array(SHA256.hash(data: Array(keyAuthorization.utf8))) }
}
