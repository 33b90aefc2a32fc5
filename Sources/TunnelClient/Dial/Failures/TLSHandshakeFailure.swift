import NIOSSL
import TunnelCore

/// A failed TLS handshake, with the proxy or with the server.
enum TLSHandshakeFailure: Sendable {
    /// The verifier refused the peer's certificate.
    case certificate(CertificateProblem)
    /// The connection ended before the handshake did, and nothing says why.
    case closed
    /// The peer did not answer within the timeout.
    case silent
    /// BoringSSL's reasons, most of them from the peer's answer.
    case reasons(TLSFailure)
    /// The certificate of the client cannot be used, for this reason; nil if the peer's name cannot be sent.
    case unusable(String?)
    /// Another error.
    case other(String)

    /// Reads an error of NIOSSL.
    ///
    /// - Parameter verification: the verification of the handshake; nil after its end.
    init(_ error: any Error, _ verification: PeerVerification?) {
        if let problem = verification?.problem {
            self = .certificate(problem)
        } else if let failure = TLSFailure(error) {
            self = failure.isClosed ? .closed : .reasons(failure)
        } else {
            self = .other(error.userDescription)
        }
    }

    /// The error for a person.
    func error(on route: DialRoute, _ peer: TLSPeer) -> DialError {
        let host = route.host(of: peer)
        switch self {
        case .certificate(let problem):
            return route.error(peer.hop, problem.sentence(of: host), Self.remedy(problem, route, peer), .retry)
        case .closed:
            let remedy = peer == .server ? route.remedyAfterConnect : Self.remedyForPlainProxy
            return route.error(peer.hop, "the connection was closed during the handshake", remedy, .retry)
        case .silent:
            let remedy = peer == .server ? "check that the port speaks TLS" : Self.remedyForPlainProxy
            return route.error(peer.hop, "no answer within \(route.hopSeconds) s", remedy, .retry)
        case .reasons(let failure):
            let (answer, remedy) = Self.words(for: failure, route, peer)
            return route.error(peer.hop, answer, remedy, .retry)
        case .unusable(let problem?):
            let flags = peer == .server ? "--tls-certificate and --tls-key" : "--proxy-certificate and --proxy-key"
            return route.error(peer.hop, problem, "check \(flags)", .configuration)
        case .unusable(nil):
            let answer = "\(host) cannot be named in a TLS handshake: it is too long"
            return route.error(peer.hop, answer, "check the URL", .configuration)
        case .other(let reason):
            return route.error(peer.hop, reason, "", .retry)
        }
    }

    private static let remedyForPlainProxy =
        "check the proxy's port: one that does not speak TLS is written with http://"

    // MARK: Certificates

    private static func remedy(_ problem: CertificateProblem, _ route: DialRoute, _ peer: TLSPeer) -> String {
        switch problem {
        case .noAuthorities: return ""
        case .wrongName:
            return peer == .server
                ? "write the URL with the name that is in the certificate" : "name the proxy as its certificate does"
        case .expired(.anchor, _): return "update this machine's CA certificates, or check its clock"
        case .expired(.intermediate, _), .notYetValid(.intermediate, _):
            return
                "check this machine's clock; if it is right, the other end must send a newer intermediate certificate"
        case .expired, .notYetValid:
            return
                "check this machine's clock; if it is right, the certificate of \(route.host(of: peer)) must be renewed"
        case .selfSigned, .unknownIssuer, .unknownRoot, .otherKey: return remedyForIssuer(problem, route, peer)
        case .tooMany, .unreadable, .unreadableIssuer, .wrongPurpose, .notAnAuthority, .unknownExtension,
            .nameConstraints:
            return "the certificate of \(route.host(of: peer)) must be issued anew"
        }
    }

    private static func remedyForIssuer(_ problem: CertificateProblem, _ route: DialRoute, _ peer: TLSPeer) -> String {
        let chain: String
        if case .unknownIssuer(let issuer) = problem {
            chain = "if \(issuer) is an intermediate CA, the other end must send its certificate too; "
        } else {
            chain = ""
        }
        switch peer {
        case .proxy:
            return chain + "ask the proxy's administrators for the certificate of its CA, and give it with --ca FILE"
        case .server where route.proxy != nil && problem != .selfSigned:
            return chain
                + "if that is not the server's own CA, the proxy inspects TLS: ask its administrators for the certificate "
                + "of that CA, and give it with --ca FILE"
        case .server:
            return chain
                + "if that is the server's own CA or a middlebox that inspects TLS, give its certificate with "
                + "--ca FILE"
        }
    }

    // MARK: Answers

    private static func words(
        for failure: TLSFailure,
        _ route: DialRoute,
        _ peer: TLSPeer
    ) -> (answer: String, remedy: String) {
        let host = route.host(of: peer)
        if failure.says(TLSFailure.plain) { return notTLS(route, peer) }
        if failure.says("ALERT_UNEXPECTED_MESSAGE") {
            let (answer, remedy) = notTLS(route, peer)
            return ("\(answer), or expects another handshake", remedy)
        }
        if failure.says("KEY_USAGE_BIT_INCORRECT") {
            return (
                "the key usage of the certificate of \(host) lacks digitalSignature, without which TLS cannot use it",
                "it must be issued anew with the key usage digitalSignature, or without a key usage"
            )
        }
        if failure.says("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL") {
            guard route.configuration.tls.maximumTLSVersion == nil else {
                return (
                    "\(host) does not speak the allowed versions of TLS", "allow a newer one with --tls-max-version"
                )
            }
            return (
                "\(host) does not speak TLS 1.2 or newer",
                "the operator of \(host) must allow TLS 1.2; older versions are not secure"
            )
        }
        if failure.says("UNRECOGNIZED_NAME") {
            return ("the other end does not serve the name \(host)", "write the URL with a name that it serves")
        }
        if failure.says("NO_COMMON_SIGNATURE_ALGORITHMS", "NO_SHARED_CIPHER", "NO_SHARED_GROUP", "WRONG_CURVE") {
            return (
                "\(host) and this client have no cipher, group or signature in common", "allow more with --tls-groups"
            )
        }
        if route.narrowsTLS, failure.says("HANDSHAKE_FAILURE", "INTERNAL_ERROR", "INSUFFICIENT_SECURITY") {
            return (
                "\(host) takes none of the key exchanges or versions that were offered",
                "allow more with --tls-groups or --tls-max-version"
            )
        }
        if failure.says(refusals) {
            let remedy =
                peer == .server
                ? "the server or its front may want a certificate of yours: give it with --tls-certificate and --tls-key"
                : "it may want a certificate of yours: give it with --proxy-certificate and --proxy-key"
            return ("the other end refused the handshake (\(alert(failure)))", remedy)
        }
        return ("the handshake failed: \(failure.userDescription)", "check what runs at \(host), and its certificate")
    }

    /// The words for a handshake that was answered with other bytes than TLS.
    private static func notTLS(_ route: DialRoute, _ peer: TLSPeer) -> (answer: String, remedy: String) {
        switch peer {
        case .proxy:
            ("the proxy does not speak TLS on this port", "write its URL with http://")
        case .server where route.proxy == nil:
            ("the server does not speak TLS on this port", "write the URL with ws://, or with the port that speaks TLS")
        case .server:
            (
                "the peer behind the proxy does not speak TLS",
                "if the network wants a login, open any page in a browser and log in; else check the server's port, "
                    + "and write ws:// if it has no TLS"
            )
        }
    }

    /// BoringSSL's names for alerts by which a peer refuses the client's certificate, or the lack of one.
    private static let refusals = [
        "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE_UNKNOWN",
        "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_ACCESS_DENIED", "UNSUPPORTED_CERTIFICATE",
    ]

    /// The name of the alert in BoringSSL's line.
    private static func alert(_ failure: TLSFailure) -> String {
        TLSFailure.spelt(refusals.first { failure.says($0) } ?? "alert")
    }
}

extension DialRoute {
    /// The name of a peer, as its certificate must have it.
    func host(of peer: TLSPeer) -> String {
        switch peer {
        case .server: endpoint.host
        case .proxy: proxy?.host ?? ""
        }
    }

    /// Whether the configuration offers fewer key exchanges or versions than the defaults.
    fileprivate var narrowsTLS: Bool {
        configuration.tls.curves != TLSConfiguration.tunnelGroups || configuration.tls.maximumTLSVersion != nil
    }
}
