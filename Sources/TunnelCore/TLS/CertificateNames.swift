import NIOSSL
import X509

/// The host names for which a set of certificates is valid.
package struct CertificateNames: Sendable {
    /// The names of one certificate, as it presents them.
    private let names: [[String]]

    /// The names of the own certificate of each configuration.
    package init(_ configurations: [TLSConfiguration]) {
        names = configurations.map(Self.names)
    }

    /// Whether any certificate is for a name.
    package func covers(_ name: String) -> Bool { index(for: name) != nil }

    /// The number of the first certificate for a name; nil if there is none.
    package func index(for name: String) -> Int? {
        let peer = PeerName(name)
        return names.firstIndex { peer.isNamed(byNames: $0, addresses: []) }
    }

    private static func names(of configuration: TLSConfiguration) -> [String] {
        guard case .certificate(let own)? = configuration.certificateChain.first, let bytes = try? own.toDERBytes(),
            let certificate = try? Certificate(derEncoded: bytes)
        else { return [] }
        return certificate.alternativeNames.dns
    }
}
