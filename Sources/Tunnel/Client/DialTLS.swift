import NIOCore
import NIOSSL
import ProxyConnect

/// Whose certificate a handshake is about.
enum TLSPeer: Sendable {
    case server
    case proxy
}

extension DialRoute {
    /// Why a handshake failed, told from the certificate where one came.
    func tlsError(_ error: any Error, _ peer: TLSPeer, _ certificate: NIOSSLCertificate?) -> DialError {
        let hop: DialError.Hop = peer == .server ? .tls : .proxyTLS
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED"), let certificate {
            let (answer, remedy) = untrusted(certificate, peer)
            return self.error(hop, answer, remedy, .retry)
        }
        if text.contains("failedToValidateHostname") || error is WrongCertificate {
            let names = certificate.map { Self.names(of: $0) } ?? ""
            let answer = "the certificate is not for \(host(peer)), but for \(names)"
            let remedy =
                peer == .server
                ? "write the URL with the name that is in the certificate" : "name the proxy as its certificate does"
            return self.error(hop, answer, remedy, .retry)
        }
        if ["WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"].contains(where: text.contains) {
            let (answer, remedy) = notTLS(peer)
            return self.error(hop, answer, remedy, .retry)
        }
        if ["PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"].contains(where: text.contains) {
            let remedy = "whoever runs \(host(peer)) must allow TLS 1.2; older versions are not secure"
            return self.error(hop, "\(host(peer)) speaks no TLS 1.2 or newer", remedy, .retry)
        }
        if Self.refusals.contains(where: text.contains) {
            let remedy =
                peer == .server
                ? "the server or its front may want a certificate of yours: give it with --tls-certificate and --tls-key"
                : "it may want a certificate of yours: give it with --proxy-certificate and --proxy-key"
            return self.error(hop, "the other end refused the handshake (\(Self.alert(text)))", remedy, .retry)
        }
        return self.error(hop, text.escapedForDisplay(limit: 200), "check the certificate and its host name", .retry)
    }

    /// What is wrong with a certificate that does not verify. BoringSSL does not hand its reason out, so it is found
    /// again: the dates, else an issuer that is not trusted.
    private func untrusted(_ certificate: NIOSSLCertificate, _ peer: TLSPeer) -> (answer: String, remedy: String) {
        let now = Int(WallClock.unixSeconds)
        let issuer = Self.name(certificate.issuerName)
        let isExpired = certificate.notValidAfter < now
        if isExpired || certificate.notValidBefore > now {
            let state = isExpired ? "has expired" : "is not valid yet"
            let remedy = "check this machine's clock; if it is right, the certificate of \(host(peer)) must be renewed"
            return ("the certificate of \(host(peer)) (issued by \(issuer)) \(state)", remedy)
        }
        let isOwn = issuer == Self.name(certificate.subjectName)
        let answer =
            "the certificate of \(host(peer)) is \(isOwn ? "signed by itself" : "issued by \(issuer)"), "
            + "which this machine does not trust"
        switch peer {
        case .proxy:
            return (answer, "ask the proxy's administrators for the certificate of its CA, and give it with --ca FILE")
        case .server where proxy != nil && !isOwn:
            return (
                answer,
                "if that is not the server's own CA, the proxy inspects TLS: ask its administrators for the certificate "
                    + "of that CA, and give it with --ca FILE"
            )
        case .server:
            return (
                answer,
                "if that is the server's own CA or a box of your company that inspects TLS, give its certificate with "
                    + "--ca FILE"
            )
        }
    }

    /// Something answered a handshake with other bytes than TLS.
    private func notTLS(_ peer: TLSPeer) -> (answer: String, remedy: String) {
        switch peer {
        case .proxy:
            ("the proxy does not speak TLS on this port", "write its URL with http://")
        case .server where proxy == nil:
            ("the server does not speak TLS on this port", "check the port; ws:// is for servers without TLS")
        case .server:
            (
                "what answers behind the proxy does not speak TLS",
                "if the network wants a login, open any page in a browser and log in; else check the server's port"
            )
        }
    }

    private func host(_ peer: TLSPeer) -> String {
        switch peer {
        case .server: endpoint.host
        case .proxy: proxy?.host ?? ""
        }
    }

    /// The parts of a distinguished name that people know it by.
    private static func name(_ parts: [SSLCertificateName]) -> String {
        let known = [SSLCertificateNameType.commonName, .organization].compactMap { type in
            parts.last { $0.type == type }?.value.escapedForDisplay(limit: 80)
        }
        return known.isEmpty ? "a nameless CA" : "\"\(known.joined(separator: ", "))\""
    }

    private static func names(of certificate: NIOSSLCertificate) -> String {
        let names = certificate._subjectAlternativeNames().prefix(4).compactMap { name -> String? in
            name.contents.withUnsafeBufferPointer { bytes in
                switch name.nameType {
                case .dnsName: String(decoding: bytes, as: UTF8.self).escapedForDisplay(limit: 80)
                case .ipAddress: IPAddress(bytes: Array(bytes))?.description
                default: nil
                }
            }
        }
        return names.isEmpty ? "nobody by name" : names.joined(separator: ", ")
    }

    /// BoringSSL's names for the alerts by which the other end turns down what we have shown, or not shown.
    private static let refusals = [
        "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE_UNKNOWN",
        "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_ACCESS_DENIED",
    ]

    /// The alert's name out of BoringSSL's line.
    private static func alert(_ text: String) -> String {
        refusals.first(where: text.contains)?.lowercased().replacing("_", with: " ") ?? "alert"
    }
}

/// The certificate verifies, and is for another address.
struct WrongCertificate: Error {}
