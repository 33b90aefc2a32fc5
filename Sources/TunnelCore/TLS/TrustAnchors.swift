import NIOSSL
import SwiftASN1
import X509

/// The CAs that a peer's certificate may lead to. Each is trusted as it is, whether it is a root, an issuing CA or the
/// peer's own certificate.
package struct TrustAnchors: Sendable {
    /// The same for swift-certificates.
    package let store: CertificateStore
    private let bySubject: [DistinguishedName: [Certificate]]

    /// - Parameter certificates: as DER. One that cannot be read is left out: stores hold old and odd ones.
    package init(_ certificates: [[UInt8]]) {
        var seen: Set<[UInt8]> = []
        let distinct = certificates.filter { seen.insert($0).inserted }
        let read = distinct.compactMap { try? Certificate(derEncoded: $0) }
        bySubject = Dictionary(grouping: read, by: \.subject)
        store = CertificateStore(read)
    }

    /// Whether there is none.
    package var isEmpty: Bool { bySubject.isEmpty }

    /// Whether this very certificate is trusted.
    package func contains(_ certificate: Certificate) -> Bool {
        bySubject[certificate.subject, default: []].contains(certificate)
    }

    /// The CAs of the name that the certificate gives as its issuer's.
    package func issuers(of certificate: Certificate) -> [Certificate] {
        bySubject[certificate.issuer, default: []]
    }
}

/// The CAs that TLS trusts: the system's, those that the user has named, or both.
public struct TLSTrust: Sendable {
    /// CAs that the user has named.
    public var authorities: [NIOSSLCertificate]
    /// Whether the system's CAs are trusted too.
    public var includesSystem: Bool
    /// The system's store.
    public var system: SystemTrustStore

    /// Trusts the system's CAs and the given ones.
    public init(
        authorities: [NIOSSLCertificate] = [],
        includesSystem: Bool = true,
        system: SystemTrustStore = SystemTrustStore()
    ) {
        self.authorities = authorities
        self.includesSystem = includesSystem
        self.system = system
    }

    /// Reads all of them, files too: not for an event loop.
    ///
    /// - Throws: ``CertificateProblem/noAuthorities(_:)``.
    package func anchors() throws(CertificateProblem) -> TrustAnchors {
        var certificates = authorities.compactMap { try? $0.toDERBytes() }
        guard authorities.isEmpty || !TrustAnchors(certificates).isEmpty else {
            throw .noAuthorities(
                "the CA given to trust cannot be used: its key must be RSA, P-256, P-384, P-521 or Ed25519"
            )
        }
        if includesSystem { certificates += system.certificates() }
        let anchors = TrustAnchors(certificates)
        guard !anchors.isEmpty else { throw .noAuthorities(system.nothingFound) }
        return anchors
    }
}
