import HTTP1
import NIOSSL
import NetworkAddress
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What the verifier and its errors need to know of a certificate.
extension Certificate {
    /// The names and the addresses that it is for; none if the entries cannot be read.
    package var alternativeNames: (dns: [String], addresses: [[UInt8]]) {
        var dns: [String] = []
        var addresses: [[UInt8]] = []
        for name in (try? extensions.subjectAlternativeNames) ?? SubjectAlternativeNames() {
            switch name {
            case .dnsName(let name): dns.append(name)
            case .ipAddress(let bytes): addresses.append(Array(bytes.bytes))
            default: break
            }
        }
        return (dns, addresses)
    }

    /// The first few of those, for people.
    package var shownNames: [String] {
        let (dns, addresses) = alternativeNames
        let names =
            dns.map { $0.escapedForDisplay(limit: 80) } + addresses.compactMap { IPAddress(bytes: $0)?.description }
        return Array(names.prefix(4))
    }

    /// Whether this certificate's key has signed the other one.
    package func hasSigned(_ other: Certificate) -> Bool { publicKey.isValidSignature(other.signature, for: other) }

    /// Whether the key usage allows to sign certificates; one that is absent does.
    package var maySign: Bool {
        guard let usage = try? extensions.keyUsage else { return extensions[oid: .X509ExtensionID.keyUsage] == nil }
        return usage.keyCertSign
    }

    /// Whether it is a CA's, with room for `count` CAs below it.
    package func mayIssue(below count: Int) -> Bool {
        guard maySign else { return false }
        guard version != .v1 else { return true }
        guard case .isCertificateAuthority(let most)? = try? extensions.basicConstraints else { return false }
        return most.map { $0 >= count } ?? true
    }

    /// The identifier of a critical extension that the verifier does not know.
    package var unknownCriticalExtension: String? {
        let known =
            RFC5280Policy().verifyingCriticalExtensions + PurposePolicy(.server).verifyingCriticalExtensions
        return extensions.first { $0.critical && !known.contains($0.oid) }.map { "\($0.oid)" }
    }
}

extension DistinguishedName {
    /// The parts that people know it by, in quotes.
    package var shown: String {
        let attributes = flatMap { Array($0) }
        let known = [ASN1ObjectIdentifier.RDNAttributeType.commonName, .RDNAttributeType.organizationName]
            .compactMap { type in
                attributes.last { $0.type == type }.flatMap { String($0.value) }?.escapedForDisplay(limit: 80)
            }
        return known.isEmpty ? "a nameless CA" : "\"\(known.joined(separator: ", "))\""
    }
}

extension Date {
    /// The day in UTC: `2026-11-29`.
    package var shownDay: String { formatted(.iso8601.year().month().day()) }
}
