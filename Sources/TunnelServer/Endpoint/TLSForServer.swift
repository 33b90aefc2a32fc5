import NIOSSL
import TunnelCore

/// The server's own TLS, and the verifier of its clients' certificates.
final class TLSForServer: Sendable {
    private let context: NIOSSLContext
    private let verifier: PeerVerifier?

    /// - Parameter trust: the CAs that must have issued clients' certificates; nil if clients need no certificate.
    /// - Throws: the reason why the certificate, its key or the CAs cannot be used.
    init(_ configuration: TLSConfiguration, _ trust: TLSTrust?) throws {
        var configuration = configuration
        configuration.certificateVerification = trust == nil ? .none : .noHostnameVerification
        configuration.trustRoots = .certificates([])
        context = try NIOSSLContext(configuration: configuration)
        verifier = trust.map { PeerVerifier($0, .client) }
        try verifier?.prepare()
    }

    /// Creates a handshake with a client. Clients have no host name that could be compared.
    func handshake() -> (handler: NIOSSLServerHandler, verification: PeerVerification?) {
        guard let verifier else { return (NIOSSLServerHandler(context: context), nil) }
        let verification = PeerVerification(verifier, name: nil)
        let handler = NIOSSLServerHandler(context: context, customVerificationCallback: verification.callback)
        return (handler, verification)
    }
}
