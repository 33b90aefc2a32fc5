import NIOSSL
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Verifies a peer's certificates: the chain, the times, the purpose, then the name. Servers, TLS proxies and clients are
/// verified alike, whatever connection lies below.
package struct CertificateVerifier: Sendable {
    /// What the peer's certificate must be good for.
    package enum Purpose: Sendable {
        case server
        case client
    }

    /// How many certificates a peer may send. Chains have two to four; a peer could make the search among more of them
    /// long.
    package static let maximumCertificates = 10

    private let anchors: TrustAnchors
    private let purpose: Purpose

    package init(_ anchors: TrustAnchors, _ purpose: Purpose) {
        self.anchors = anchors
        self.purpose = purpose
    }

    /// What is wrong with the certificates that a peer has sent.
    ///
    /// - Parameters:
    ///   - sent: in the peer's order, its own first, as DER.
    ///   - name: the name that the certificate must have; nil if no name is compared.
    /// - Returns: nil if they are good.
    package func problem(with sent: [[UInt8]], for name: PeerName?) async -> CertificateProblem? {
        guard sent.count <= Self.maximumCertificates else { return .tooMany(Self.maximumCertificates) }
        guard let first = sent.first, let leaf = try? Certificate(derEncoded: first) else { return .unreadable }
        let readable = sent.dropFirst().compactMap { try? Certificate(derEncoded: $0) }
        if let problem = await problem(with: leaf, Self.distinct(readable)) {
            guard case .unknownIssuer(let issuer) = problem, readable.count < sent.count - 1 else { return problem }
            return .unreadableIssuer(issuer)
        }
        guard let name, !Self.isNamed(leaf, name) else { return nil }
        return .wrongName(leaf.shownNames)
    }

    private func problem(with leaf: Certificate, _ others: [Certificate]) async -> CertificateProblem? {
        // One that the user has named needs no CA above it, and need not be one.
        if anchors.contains(leaf) { return problem(in: [leaf], isComplete: true) }
        var verifier = Verifier(rootCertificates: anchors.store) {
            RFC5280Policy()
            PurposePolicy(purpose)
        }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore(others)) {
        case .validCertificate: return nil
        case .couldNotValidate: return diagnosis(leaf, others)
        }
    }

    /// Certificates that differ in subject, key or issuer. With more variants of one CA a peer could make the number of
    /// paths grow without bound. Of several the one that is valid the longest remains.
    private static func distinct(_ certificates: [Certificate]) -> [Certificate] {
        struct Identity: Hashable {
            let subject: DistinguishedName
            let issuer: DistinguishedName
            let key: Certificate.PublicKey
        }
        var best: [Identity: Certificate] = [:]
        for certificate in certificates {
            let identity = Identity(
                subject: certificate.subject,
                issuer: certificate.issuer,
                key: certificate.publicKey
            )
            if let known = best[identity], known.notValidAfter >= certificate.notValidAfter { continue }
            best[identity] = certificate
        }
        return Array(best.values)
    }

    private static func isNamed(_ leaf: Certificate, _ name: PeerName) -> Bool {
        let names = leaf.alternativeNames
        return name.isNamed(byNames: names.dns, addresses: names.addresses)
    }

    // MARK: Finding the reason

    /// Finds out why no chain was accepted: walks up from the peer's certificate as far as signatures lead.
    private func diagnosis(_ leaf: Certificate, _ others: [Certificate]) -> CertificateProblem {
        var path = [leaf]
        while let tip = path.last, path.count <= Self.maximumCertificates {
            if let anchor = anchors.issuers(of: tip).first(where: { $0.hasSigned(tip) }) {
                return problem(in: path + [anchor], isComplete: true) ?? .nameConstraints
            }
            let next = others.filter { $0.subject == tip.issuer && !path.contains($0) && $0.hasSigned(tip) }
            guard let issuer = next.max(by: { $0.notValidAfter < $1.notValidAfter }) else { break }
            path.append(issuer)
        }
        if let problem = problem(in: path, isComplete: false) { return problem }
        guard let tip = path.last else { return .unreadable }
        let issuer = tip.issuer.shown
        if tip.issuer == tip.subject { return path.count == 1 ? .selfSigned : .unknownRoot(issuer) }
        let isKnown = !anchors.issuers(of: tip).isEmpty || others.contains { $0.subject == tip.issuer }
        return isKnown ? .otherKey(issuer) : .unknownIssuer(issuer)
    }

    /// What is wrong with one of a path's certificates, from the peer's own up.
    ///
    /// - Parameter isComplete: whether the last one is trusted.
    private func problem(in path: [Certificate], isComplete: Bool) -> CertificateProblem? {
        let now = Date()
        let policy = PurposePolicy(purpose)
        for (index, certificate) in path.enumerated() {
            let isAnchor = isComplete && index == path.count - 1 && index > 0
            let name = certificate.subject.shown
            let link: CertificateProblem.Link = index == 0 ? .leaf : isAnchor ? .anchor(name) : .intermediate(name)
            if certificate.notValidAfter < now { return .expired(link, on: certificate.notValidAfter.shownDay) }
            if certificate.notValidBefore > now {
                return .notYetValid(link, since: certificate.notValidBefore.shownDay)
            }
            guard policy.permits(certificate) else { return .wrongPurpose(link) }
            if index > 0, !certificate.mayIssue(below: index - 1) { return .notAnAuthority(link) }
            if let identifier = certificate.unknownCriticalExtension { return .unknownExtension(link, identifier) }
        }
        return nil
    }
}

/// Extended key usage and key usage, which RFC5280Policy leaves out.
package struct PurposePolicy: VerifierPolicy, Sendable {
    /// What it looks at, and policies: any policy is accepted, so these forbid nothing (RFC 5280 section 6.1.1 c).
    package let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.keyUsage, .X509ExtensionID.subjectAlternativeName,
        [2, 5, 29, 32], [2, 5, 29, 33], [2, 5, 29, 54],
    ]
    private let purpose: CertificateVerifier.Purpose

    package init(_ purpose: CertificateVerifier.Purpose) {
        self.purpose = purpose
    }

    package func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        guard chain.allSatisfy(permits) else { return .failsToMeetPolicy(reason: "extended key usage") }
        guard chain.dropFirst().allSatisfy(\.maySign) else { return .failsToMeetPolicy(reason: "key usage") }
        return .meetsPolicy
    }

    /// Whether the extended key usage allows the purpose; one that is absent allows all.
    package func permits(_ certificate: Certificate) -> Bool {
        guard let usage = try? certificate.extensions.extendedKeyUsage else {
            return certificate.extensions[oid: .X509ExtensionID.extendedKeyUsage] == nil
        }
        return usage.contains(purpose == .server ? .serverAuth : .clientAuth) || usage.contains(.any)
    }
}
