import ACME
public import NIOSSL

/// A certificate with its chain and its key, ready for a handshake.
public struct NameCertificate: Sendable {
    /// The certificate and the ones above it.
    public let chain: [NIOSSLCertificateSource]
    /// The certificate's key.
    public let key: NIOSSLPrivateKeySource
    /// The last second of its validity, since 1970.
    public let notAfter: Int64

    /// Nil if BoringSSL cannot read them, which happens with no certificate that the rest of the server has read.
    init?(_ issued: IssuedCertificate) {
        self.init(issued.chain, pem: issued.key.pemRepresentation, notAfter: issued.notAfter)
    }

    init?(_ challenge: ChallengeCertificate, notAfter: Int64) {
        self.init([challenge.certificate], pem: challenge.key.pemRepresentation, notAfter: notAfter)
    }

    private init?(_ chain: [[UInt8]], pem: String, notAfter: Int64) {
        guard let key = try? NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem),
            let certificates = try? chain.map({ try NIOSSLCertificate(bytes: $0, format: .der) })
        else { return nil }
        self.chain = certificates.map { .certificate($0) }
        self.key = .privateKey(key)
        self.notAfter = notAfter
    }
}
