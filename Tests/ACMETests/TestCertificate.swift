import Crypto
import Foundation
import SwiftASN1
import X509

@testable import ACME

/// Certificates for tests, signed by themselves.
enum TestCertificate {
    private static let key = P256.Signing.PrivateKey()

    static func make(_ name: String, notBefore: Int64, notAfter: Int64) throws -> IssuedCertificate {
        let own = X509.Certificate.PrivateKey(key)
        let subject = try DistinguishedName { CommonName("test") }
        let certificate = try X509.Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: own.publicKey,
            notValidBefore: Date(timeIntervalSince1970: Double(notBefore)),
            notValidAfter: Date(timeIntervalSince1970: Double(notAfter)),
            issuer: subject,
            subject: subject,
            extensions: X509.Certificate.Extensions {
                SubjectAlternativeNames([.dnsName(name)])
                AuthorityKeyIdentifier(keyIdentifier: [9, 9, 9])
            },
            issuerPrivateKey: own
        )
        let pem = try certificate.serializeAsPEM().pemString
        guard let name = CertificateName(name) else { throw CancellationError() }
        return try IssuedCertificate(chain: Array(pem.utf8), key: key, for: name)
    }
}

extension CertificateName {
    /// A name that a test has written.
    static func of(_ text: String) -> CertificateName {
        guard let name = CertificateName(text) else { fatalError("\(text) is no name") }
        return name
    }
}
