import NIOCore
import NIOSSL
import ProxyConnect
import Synchronization

/// The TLS that a client speaks to servers or to proxies. What is needed of it is made once: the trust store is read a
/// single time.
final class TLSForClients: Sendable {
    private let configuration: TLSConfiguration
    private let contexts = Mutex<[Bool: NIOSSLContext]>([:])

    init(_ configuration: TLSConfiguration) {
        self.configuration = configuration
    }

    /// A handler that verifies the certificate, and the name in it. An address is left to `isMeant`: NIOSSL would
    /// compare it with the socket's other end, which is the proxy where there is one.
    ///
    /// - Throws: what makes the trust store unusable.
    func handler(for host: String) throws -> NIOSSLClientHandler {
        let isAddress = IPAddress(host) != nil
        return try NIOSSLClientHandler(context: context(isAddress), serverHostname: isAddress ? nil : host)
    }

    /// Reads the trust store now rather than at the first handshake.
    func prepare() throws {
        _ = try context(false)
    }

    /// Whether the certificate of a finished handshake is for `host`. Names have been compared by then, but where there is
    /// none NIOSSL takes the common name for one, which no CA vouches for (RFC 9525 section 6.3).
    static func isMeant(_ certificate: NIOSSLCertificate?, for host: String) -> Bool {
        guard let certificate else { return false }
        guard let address = IPAddress(host) else {
            return certificate._subjectAlternativeNames().contains { $0.nameType == .dnsName }
        }
        return certificate._subjectAlternativeNames().contains { name in
            name.nameType == .ipAddress && name.contents.withUnsafeBufferPointer { $0.elementsEqual(address.bytes) }
        }
    }

    private func context(_ isForAddresses: Bool) throws -> NIOSSLContext {
        try contexts.withLock { contexts in
            if let context = contexts[isForAddresses] { return context }
            var configuration = configuration
            if isForAddresses { configuration.certificateVerification = .noHostnameVerification }
            let context = try NIOSSLContext(configuration: configuration)
            contexts[isForAddresses] = context
            return context
        }
    }
}
