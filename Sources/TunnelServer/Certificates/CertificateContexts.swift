import NIOSSL
import Synchronization
import TunnelCore

/// The TLS of names whose certificates come from a CA by themselves: made at the first handshake, and kept until the
/// certificate changes.
final class CertificateContexts: Sendable {
    private let contexts = Mutex<[String: CertificateTLS]>([:])

    /// The TLS for a name.
    ///
    /// - Parameter certificate: the certificate of the moment.
    func tls(for name: String, _ certificate: () -> NameCertificate?) -> CertificateTLS? {
        if let known = contexts.withLock({ $0[name] }) { return known }
        guard let certificate = certificate(),
            let tls = try? CertificateTLS(
                .tunnelServer(certificateChain: certificate.chain, privateKey: certificate.key)
            )
        else { return nil }
        contexts.withLock { $0[name] = tls }
        return tls
    }

    /// A name has another certificate, or none any more.
    func forget(_ name: String) {
        contexts.withLock { $0[name] = nil }
    }
}
