import NIOSSL

extension TLSConfiguration {
    /// The TLS of a client: version 1.2 at least. Certificates are verified by ``TLSTrust``.
    public static func tunnelClient() -> TLSConfiguration {
        var tls = makeClientConfiguration()
        tls.applyTunnelDefaults()
        return tls
    }

    /// The TLS of a server: version 1.2 at least, with this certificate and the ones above it.
    public static func tunnelServer(
        certificateChain: [NIOSSLCertificateSource],
        privateKey: NIOSSLPrivateKeySource
    ) -> TLSConfiguration {
        var tls = makeServerConfiguration(certificateChain: certificateChain, privateKey: privateKey)
        tls.applyTunnelDefaults()
        return tls
    }

    /// The key exchanges that are offered unless the user says otherwise, in order: NIOSSL's, and P-521, without which
    /// TLS 1.2 allows no certificate on that curve.
    package static let tunnelGroups: [NIOTLSCurve] = [.x25519_MLKEM768, .x25519, .secp256r1, .secp384r1, .secp521r1]

    private mutating func applyTunnelDefaults() {
        minimumTLSVersion = .tlsv12
        curves = Self.tunnelGroups
        // BoringSSL's own list has neither Ed25519 nor P-521.
        verifySignatureAlgorithms = [
            .ecdsaSecp256R1Sha256, .rsaPssRsaeSha256, .rsaPkcs1Sha256, .ecdsaSecp384R1Sha384, .rsaPssRsaeSha384,
            .rsaPkcs1Sha384, .ecdsaSecp521R1Sha512, .rsaPssRsaeSha512, .rsaPkcs1Sha512, .ed25519,
        ]
    }
}
