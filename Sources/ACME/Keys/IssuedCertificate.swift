import ByteText
public import Crypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A certificate that a CA has issued for one name, with its chain and its key.
public struct IssuedCertificate: Sendable {
    /// Why a chain or a file is not what was asked for: a clause about it.
    public enum Problem: String, Error, Sendable, Hashable {
        /// Something that is not PEM, or not X.509.
        case unreadable = "it cannot be read"
        /// Too many certificates, or none.
        case length = "it has no certificate, or too many"
        /// The first certificate has another key.
        case foreignKey = "its key belongs to another certificate"
        /// The first certificate is for another name.
        case otherName = "it is for another name"
    }

    /// The name.
    public let name: CertificateName
    /// The certificate and the ones above it, in DER.
    public let chain: [[UInt8]]
    /// The certificate's key.
    public let key: P256.Signing.PrivateKey
    /// The first and the last second of its validity, since 1970.
    public let notBefore: Int64, notAfter: Int64
    /// The id for which the CA suggests a time of renewal; nil if the certificate does not name its issuer's key.
    public let renewalIdentifier: String?

    /// Reads a chain in PEM.
    ///
    /// - Parameters:
    ///   - chain: the CA's answer, or a part of a file.
    ///   - key: the key that the first certificate must have.
    ///   - name: the name that the first certificate must have.
    public init(chain text: [UInt8], key: P256.Signing.PrivateKey, for name: CertificateName) throws(Problem) {
        guard let documents = try? PEMDocument.parseMultiple(pemString: String(decoding: text, as: UTF8.self)) else {
            throw .unreadable
        }
        try self.init(documents.filter { $0.discriminator == "CERTIFICATE" }, key: key, for: name)
    }

    /// Reads what ``pem`` has written.
    ///
    /// - Parameter name: the name that the certificate must have; nil for the only one that it has.
    public init(stored text: [UInt8], for name: CertificateName?) throws(Problem) {
        guard let documents = try? PEMDocument.parseMultiple(pemString: String(decoding: text, as: UTF8.self)),
            let first = documents.first(where: { $0.discriminator != "CERTIFICATE" }),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: first.pemString)
        else { throw .unreadable }
        try self.init(documents.filter { $0.discriminator == "CERTIFICATE" }, key: key, for: name)
    }

    private init(_ documents: [PEMDocument], key: P256.Signing.PrivateKey, for name: CertificateName?) throws(Problem) {
        guard let first = documents.first, documents.count <= ACMELimits.certificates else { throw .length }
        guard let leaf = try? Certificate(pemDocument: first),
            documents.dropFirst().allSatisfy({ (try? Certificate(pemDocument: $0)) != nil })
        else { throw .unreadable }
        guard leaf.publicKey == Certificate.PublicKey(key.publicKey) else { throw .foreignKey }
        let names = Self.names(of: leaf)
        guard let own = name ?? (names.count == 1 ? names[0] : nil), names.contains(own) else { throw .otherName }
        self.name = own
        self.key = key
        chain = documents.map(\.derBytes)
        // Far outside of any certificate's validity a number of seconds would not fit.
        notBefore = Int64(max(0, min(leaf.notValidBefore.timeIntervalSince1970, 253_402_300_799)))
        notAfter = Int64(max(0, min(leaf.notValidAfter.timeIntervalSince1970, 253_402_300_799)))
        let issuer = (try? leaf.extensions.authorityKeyIdentifier)??.keyIdentifier
        renewalIdentifier = issuer.map {
            Self.renewalIdentifier(issuer: Array($0), serial: Array(leaf.serialNumber.bytes))
        }
    }

    /// The id of a certificate for renewal information: the issuer's key identifier and the serial number as in DER
    /// (RFC 9773, section 4.1).
    static func renewalIdentifier(issuer: [UInt8], serial: [UInt8]) -> String {
        // DER keeps a positive number's highest bit zero.
        let padding: [UInt8] = serial.first.map { $0 >= 0x80 ? [0] : [] } ?? [0]
        return "\(Base64URL.encoded(issuer)).\(Base64URL.encoded(padding + serial))"
    }

    private static func names(of certificate: Certificate) -> [CertificateName] {
        ((try? certificate.extensions.subjectAlternativeNames) ?? SubjectAlternativeNames()).compactMap { name in
            if case .dnsName(let text) = name { CertificateName(text) } else { nil }
        }
    }

    /// The key and the chain in PEM, for a file that only its user reads.
    public var pem: String {
        let certificates = chain.map { PEMDocument(type: "CERTIFICATE", derBytes: $0).pemString + "\n" }
        return key.pemRepresentation + "\n" + certificates.joined()
    }

    /// Whether another certificate is the same one.
    public func isSame(as other: IssuedCertificate) -> Bool { chain.first == other.chain.first }
}
