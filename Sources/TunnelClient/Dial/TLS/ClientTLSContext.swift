import NIOCore
import NIOSSL
import Synchronization
import TunnelCore

/// Makes the TLS handlers for servers or for proxies. NIOSSL's contexts are made once.
final class ClientTLSContext: Sendable {
    private let configuration: TLSConfiguration
    private let verifier: PeerVerifier
    /// The groups without the longest key shares; nil if that makes no difference.
    private let smallerGroups: [NIOTLSCurve]?
    /// The contexts, by whether their ClientHello is the small one.
    private let contexts = Mutex<[Bool: NIOSSLContext]>([:])

    init(_ configuration: TLSConfiguration, _ verifier: PeerVerifier) {
        var configuration = configuration
        // Our own verifier compares the names too.
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

    /// A handshake that verifies the peer's certificates, and that they are for `host`, whatever the socket leads to.
    ///
    /// - Throws: the reason why our own certificate, or the host's name, cannot be used.
    func handshake(with host: String, hello: HelloSizeMemory.Size) throws -> TLSHandshake {
        let name = PeerName(host)
        let verification = PeerVerification(verifier, name: name)
        let handler = try NIOSSLClientHandler(
            context: context(hello.isSmall),
            serverHostname: name.serverNameIndication,
            customVerificationCallback: verification.callback
        )
        return TLSHandshake(handler: handler, verification: verification, hello: hello)
    }

    /// Makes the context and reads the CAs. Blocks, so it must not be called on an event loop.
    ///
    /// - Throws: ``CertificateProblem`` if there is no CA to trust, else the reason why our certificate cannot be used.
    func prepare() throws {
        _ = try context(false)
        try verifier.prepare()
    }

    private func context(_ isSmall: Bool) throws -> NIOSSLContext {
        try contexts.withLock { contexts in
            if let context = contexts[isSmall] { return context }
            var configuration = configuration
            if isSmall, let smallerGroups { configuration.curves = smallerGroups }
            let context = try NIOSSLContext(configuration: configuration)
            contexts[isSmall] = context
            return context
        }
    }
}

/// A TLS handshake in progress.
struct TLSHandshake {
    let handler: NIOSSLClientHandler
    let verification: PeerVerification
    /// The size of the ClientHello that was sent.
    let hello: HelloSizeMemory.Size
}
