import Crypto
import SwiftASN1
import X509

/// A request for a certificate in PKCS #10, with the name as the only alternative name (RFC 8555, section 7.4).
enum CertificateRequest {
    /// The request in DER.
    static func make(for name: CertificateName, key: P256.Signing.PrivateKey) throws -> [UInt8] {
        let names = try Certificate.Extensions { SubjectAlternativeNames([.dnsName(name.text)]) }
        let request = try CertificateSigningRequest(
            version: .v1,
            subject: DistinguishedName(),
            privateKey: Certificate.PrivateKey(key),
            attributes: .init([.init(ExtensionRequest(extensions: names))])
        )
        var serializer = DER.Serializer()
        try request.serialize(into: &serializer)
        return serializer.serializedBytes
    }
}
