import NIOCore
import NIOSSL
import TunnelCore

/// What all connections of a store share.
struct EtcdTransport: Sendable {
    let group: any EventLoopGroup
    let context: NIOSSLContext
    let verifier: PeerVerifier
    let names: HostNames

    /// - Throws: if the certificate and its key cannot be used.
    init(
        _ configuration: EtcdConfiguration,
        group: any EventLoopGroup,
        names: HostNames
    ) throws(EtcdConfigurationError) {
        var tls = TLSConfiguration.tunnelClient()
        // Our own verifier compares the names too.
        tls.certificateVerification = .noHostnameVerification
        tls.trustRoots = .certificates([])
        tls.applicationProtocols = ["http/1.1"]
        tls.certificateChain = configuration.certificateChain
        tls.privateKey = configuration.privateKey
        do {
            context = try NIOSSLContext(configuration: tls)
        } catch {
            let problem = TLSIdentity.problem(of: tls) ?? error.userDescription
            throw EtcdConfigurationError(description: "TLS for etcd cannot be set up: \(problem)")
        }
        let authorities = configuration.authorities
        verifier = PeerVerifier(TLSTrust(authorities: authorities, includesSystem: authorities.isEmpty), .server)
        (self.group, self.names) = (group, names)
    }
}
