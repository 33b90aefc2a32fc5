import NIOSSL
import TunnelCore

/// The TLS that a server speaks without a front, and the verifier of its clients' certificates.
final class TLSForServer: Sendable {
    private let context: NIOSSLContext
    private let verifier: PeerVerifier?

    /// - Parameter trust: the CAs to which certificates of clients must lead; nil if clients need none.
    /// - Throws: what makes the certificate, its key or the CAs unusable.
    init(_ configuration: TLSConfiguration, _ trust: TLSTrust?) throws {
        var configuration = configuration
        configuration.certificateVerification = trust == nil ? .none : .noHostnameVerification
        configuration.trustRoots = .certificates([])
        context = try NIOSSLContext(configuration: configuration)
        verifier = trust.map { PeerVerifier($0, .client) }
        try verifier?.prepare()
    }

    /// A handshake with a client. Its name is not compared: a client has none.
    func handshake() -> (handler: NIOSSLServerHandler, verification: PeerVerification?) {
        guard let verifier else { return (NIOSSLServerHandler(context: context), nil) }
        let verification = PeerVerification(verifier, name: nil)
        let handler = NIOSSLServerHandler(context: context, customVerificationCallback: verification.callback)
        return (handler, verification)
    }
}
