import TunnelCore

/// The parts of a server that a reload replaces, all at once.
struct ServerSettings {
    let configuration: ServerConfiguration
    let authenticator: Authenticator
    let tls: TLSForServer?
    let certificateNames: CertificateNames
    /// The certificates for host names, in the order of ``certificateNames``.
    let certificates: [TLSForServer]

    /// What visitors over TLS may speak.
    static let applicationProtocols = ["http/1.1"]

    /// - Throws: the reason why the certificate or its key cannot be used.
    init(_ configuration: ServerConfiguration) throws {
        self.configuration = configuration
        authenticator = Authenticator(configuration)
        certificateNames = CertificateNames(configuration.certificates)
        certificates = try configuration.certificates.map { certificate in
            var certificate = certificate
            certificate.applicationProtocols = Self.applicationProtocols
            return try TLSForServer(certificate, nil)
        }
        tls = try configuration.tls.map { try TLSForServer($0, configuration.clientTrust) }
    }
}
