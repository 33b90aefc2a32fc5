import TunnelCore

/// The parts of a server that a reload replaces, all at once.
struct ServerSettings {
    let configuration: ServerConfiguration
    let authenticator: Authenticator
    let tls: TLSForServer?

    /// - Throws: the reason why the certificate or its key cannot be used.
    init(_ configuration: ServerConfiguration) throws {
        self.configuration = configuration
        authenticator = Authenticator(configuration)
        tls = try configuration.tls.map { try TLSForServer($0, configuration.clientTrust) }
    }
}
