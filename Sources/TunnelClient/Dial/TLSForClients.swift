import NIOCore
import NIOSSL
import Synchronization
import TunnelCore

/// The TLS that a client speaks to servers or to proxies. What is needed of it is made once.
final class TLSForClients: Sendable {
    private let configuration: TLSConfiguration
    private let verifier: PeerVerifier
    /// Without the longest key shares; nil where that makes no difference.
    private let smallerGroups: [NIOTLSCurve]?
    /// By whether its hello is the small one.
    private let made = Mutex<[Bool: NIOSSLContext]>([:])

    init(_ configuration: TLSConfiguration, _ verifier: PeerVerifier) {
        var configuration = configuration
        // Ours is the verifier; the names are compared there too.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.additionalTrustRoots = []
        self.configuration = configuration
        let hasLongShares = configuration.maximumTLSVersion.map { $0 == .tlsv13 } ?? true
        smallerGroups = hasLongShares ? TLSGroups.smaller(configuration.curves ?? TLSConfiguration.tunnelGroups) : nil
        self.verifier = verifier
    }

    /// Whether there is a smaller ClientHello to try.
    var hasSmallerHello: Bool { smallerGroups != nil }

    /// A handler that verifies the peer's certificates and that they are for `host`, whatever the socket leads to.
    ///
    /// - Parameter isSmall: leaves out the key shares that make the ClientHello longer than a segment.
    /// - Throws: what makes our own certificate, or the host's name, unusable.
    func handler(for host: String, isSmall: Bool = false) throws -> TLSHandshake {
        let name = PeerName(host)
        let verification = PeerVerification(verifier, name: name)
        let handler = try NIOSSLClientHandler(
            context: context(isSmall),
            serverHostname: name.serverNameIndication,
            customVerificationCallback: verification.callback
        )
        return TLSHandshake(handler: handler, verification: verification)
    }

    /// Makes ready what handshakes need, and reads the CAs: not for an event loop.
    ///
    /// - Throws: ``CertificateProblem`` where there is no CA to trust, else what makes our own certificate unusable.
    func prepare() throws {
        _ = try context(false)
        try verifier.prepare()
    }

    private func context(_ isSmall: Bool) throws -> NIOSSLContext {
        try made.withLock { made in
            if let context = made[isSmall] { return context }
            var configuration = configuration
            if isSmall, let smallerGroups { configuration.curves = smallerGroups }
            let context = try NIOSSLContext(configuration: configuration)
            made[isSmall] = context
            return context
        }
    }
}

/// A handshake, and the verification that belongs to it.
struct TLSHandshake {
    let handler: NIOSSLClientHandler
    let verification: PeerVerification
    /// The hello that was sent, and where.
    var hello = HelloSizeMemory.Size.full
}
