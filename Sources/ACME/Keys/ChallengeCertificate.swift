public import Crypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The certificate that answers tls-alpn-01 in a handshake with ALPN `acme-tls/1` (RFC 8737, section 3).
public struct ChallengeCertificate: Sendable {
    /// The protocol's name in ALPN.
    public static let applicationProtocol = "acme-tls/1"
    /// id-pe-acmeIdentifier.
    static let identifier: ASN1ObjectIdentifier = [1, 3, 6, 1, 5, 5, 7, 1, 31]

    /// The certificate in DER. It is signed by its own key.
    public let certificate: [UInt8]
    /// Its key.
    public let key: P256.Signing.PrivateKey

    /// Makes the certificate.
    ///
    /// - Parameter now: seconds since 1970.
    public init(_ answer: ChallengeAnswer, now: Int64) throws {
        let key = P256.Signing.PrivateKey()
        let own = Certificate.PrivateKey(key)
        let name = try DistinguishedName { CommonName("ACME challenge") }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: own.publicKey,
            notValidBefore: Date(timeIntervalSince1970: Double(now - 86_400)),
            notValidAfter: Date(timeIntervalSince1970: Double(now + 7 * 86_400)),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                SubjectAlternativeNames([.dnsName(answer.name.text)])
                Self.proof(answer.digest)
            },
            issuerPrivateKey: own
        )
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        self.certificate = serializer.serializedBytes
        self.key = key
    }

    /// The extension: critical, with the digest as an OCTET STRING.
    static func proof(_ digest: [UInt8]) -> Certificate.Extension {
        // Tag, length and 32 bytes: the length fits into one byte.
        Certificate.Extension(oid: identifier, critical: true, value: [0x04, UInt8(digest.count)][...] + digest)
    }
}
