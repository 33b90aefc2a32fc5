import HTTPRelay
import NIOSSL
import TunnelCore

/// The parts of a server that a reload replaces, all at once.
struct ServerSettings {
    let configuration: ServerConfiguration
    let authenticator: Authenticator
    let tls: TLSForServer?
    let router: RouterRules
    let certificateNames: CertificateNames
    /// The certificates for host names, in the order of ``certificateNames``.
    let certificates: [CertificateTLS]

    /// - Throws: the reason why the certificate or its key cannot be used.
    init(_ configuration: ServerConfiguration) throws {
        self.configuration = configuration
        authenticator = Authenticator(configuration)
        router = RouterRules(configuration)
        certificateNames = CertificateNames(configuration.certificates)
        certificates = try configuration.certificates.map(CertificateTLS.init)
        tls = try configuration.tls.map { try TLSForServer($0, configuration.clientTrust) }
    }
}

/// The TLS of one certificate for host names.
struct CertificateTLS: Sendable {
    /// For visitors that may speak HTTP/2 or HTTP/1.1.
    let http2: TLSForServer
    /// For visitors that may speak HTTP/1.1 alone.
    let http1: TLSForServer

    init(_ configuration: TLSConfiguration) throws {
        var configuration = configuration
        configuration.applicationProtocols = ["h2", "http/1.1"]
        http2 = try TLSForServer(configuration, nil)
        configuration.applicationProtocols = ["http/1.1"]
        http1 = try TLSForServer(configuration, nil)
    }
}

/// What the router asks the configuration for each request. One object, since a copy of the whole configuration for each
/// request costs more than the decision.
final class RouterRules: Sendable {
    let path: String
    let endpointHost: PublicName?
    /// Whether clients reach the endpoint at an address of the names.
    let sharesAddress: Bool
    let backend: Backend?
    let redirectsToHTTPS: Bool
    let limits: ServerLimits
    /// The names that any client may have. Visitors of others cause no question to the cluster.
    let clientNames: NamePatterns

    init(_ configuration: ServerConfiguration) {
        path = configuration.path
        clientNames = NamePatterns(configuration.clients.flatMap(\.names) + configuration.names)
        endpointHost = configuration.endpointHost
        let names = configuration.httpListen + configuration.httpsListen
        sharesAddress = configuration.listen.contains { names.contains($0) }
        backend = configuration.backend
        redirectsToHTTPS = configuration.redirectsToHTTPS
        limits = configuration.serverLimits
    }
}
