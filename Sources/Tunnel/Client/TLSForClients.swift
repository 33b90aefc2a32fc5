import NIOCore
import NIOSSL
import Synchronization

/// The TLS that a client speaks to servers or to proxies. What is needed of it is made once.
final class TLSForClients: Sendable {
    private let configuration: TLSConfiguration
    private let verifier: PeerVerifier
    private let made = Mutex<NIOSSLContext?>(nil)

    init(_ configuration: TLSConfiguration, _ trust: TLSTrust) {
        var configuration = configuration
        // Ours is the verifier; the names are compared there too.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.additionalTrustRoots = []
        self.configuration = configuration
        verifier = PeerVerifier(trust, .server)
    }

    /// A handler that verifies the peer's certificates and that they are for `host`, whatever the socket leads to.
    ///
    /// - Throws: what makes our own certificate, or the host's name, unusable.
    func handler(for host: String) throws -> TLSHandshake {
        let name = PeerName(host)
        let verification = PeerVerification(verifier, name: name)
        let handler = try NIOSSLClientHandler(
            context: context(),
            serverHostname: name.serverNameIndication,
            customVerificationCallback: verification.callback
        )
        return TLSHandshake(handler: handler, verification: verification)
    }

    /// Makes ready what handshakes need, and reads the CAs: not for an event loop.
    ///
    /// - Throws: ``CertificateProblem`` where there is no CA to trust, else what makes our own certificate unusable.
    func prepare() throws {
        _ = try context()
        try verifier.prepare()
    }

    private func context() throws -> NIOSSLContext {
        try made.withLock { made in
            if let made { return made }
            let context = try NIOSSLContext(configuration: configuration)
            made = context
            return context
        }
    }
}

/// A handshake, and the verification that belongs to it.
struct TLSHandshake {
    let handler: NIOSSLClientHandler
    let verification: PeerVerification
}
