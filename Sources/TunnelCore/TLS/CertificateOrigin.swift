import NIOSSL
import Platform
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where a peer's certificate comes from, for a diagnosis.
package struct CertificateOrigin: Sendable {
    /// The list that the chain's CA was found in.
    package enum Trust: Sendable {
        /// The certificates that the user has given.
        case given
        /// The system's store, to which this machine's administrators have added it.
        case added
        /// The system's store.
        case system
        /// None: the chain could not be followed.
        case unknown
    }

    /// The CA that has signed the peer's certificate, in quotes.
    package let issuer: String
    /// The CA at the end of the chain, in quotes.
    package let root: String
    package let trust: Trust
    /// The first and the last second of the certificate's validity, in seconds since 1970.
    package let (begins, expires): (Int64, Int64)

    /// Whether the certificate should have been renewed by now: a fifth of its time is left, and at most two weeks.
    package func isDue(now: Int64) -> Bool {
        expires - now < min(Self.notice, (expires - begins) / 5)
    }

    /// Two weeks, in seconds.
    private static let notice: Int64 = 14 * 86_400

    /// The time that is left, for people.
    package func left(now: Int64) -> String {
        let hours = max(0, expires - now) / 3_600
        return hours < 48 ? "\(hours) hours" : "\(hours / 24) days"
    }

    /// Folders in which administrators put CAs for the system's store: Debian, Ubuntu, Alpine; Fedora, RHEL; Arch; openSUSE.
    private static let addedFolders = [
        "/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors",
        "/etc/ca-certificates/trust-source/anchors", "/etc/pki/trust/anchors",
    ]

    /// Follows a chain that was verified. Reads files: not for an event loop.
    ///
    /// - Parameter sent: in the peer's order, its own first, as DER.
    /// - Returns: nil if the first one cannot be read.
    package init?(_ sent: [[UInt8]], _ trust: TLSTrust) {
        guard let first = sent.first, let leaf = try? Certificate(derEncoded: first) else { return nil }
        let given = TrustAnchors(trust.authorities.compactMap { try? $0.toDERBytes() })
        let system = trust.includesSystem ? TrustAnchors(trust.system.certificates()) : TrustAnchors([])
        let others = sent.dropFirst().compactMap { try? Certificate(derEncoded: $0) }
        issuer = leaf.issuer.shown
        begins = Int64(leaf.notValidBefore.timeIntervalSince1970)
        expires = Int64(leaf.notValidAfter.timeIntervalSince1970)
        var tip = leaf
        for _ in 0..<CertificateVerifier.maximumCertificates {
            if given.contains(tip) {
                (root, self.trust) = (tip.subject.shown, .given)
                return
            }
            if let anchor = given.issuers(of: tip).first(where: { $0.hasSigned(tip) }) {
                (root, self.trust) = (anchor.subject.shown, .given)
                return
            }
            if let anchor = system.issuers(of: tip).first(where: { $0.hasSigned(tip) }) {
                let added = TrustAnchors(Self.addedFolders.flatMap { SystemTrustStore.certificates(below: $0) })
                (root, self.trust) = (anchor.subject.shown, added.contains(anchor) ? .added : .system)
                return
            }
            let next = others.first { $0.subject == tip.issuer && $0 != tip && $0.hasSigned(tip) }
            guard let next else { break }
            tip = next
        }
        (root, self.trust) = (tip.issuer.shown, .unknown)
    }
}
