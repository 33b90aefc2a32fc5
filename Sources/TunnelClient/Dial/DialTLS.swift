import NIOCore
import NIOSSL
import TunnelCore

/// Whose certificate a handshake is about.
enum TLSPeer: Sendable, Hashable {
    case server
    case proxy

    /// The step of a dial.
    var hop: DialError.Hop { self == .server ? .tls : .proxyTLS }
}

extension DialRoute {
    /// Why a handshake failed, told from what the verifier found, else from what the other end answered.
    func tlsError(_ error: any Error, _ peer: TLSPeer, _ handshake: TLSHandshake?) -> DialError {
        if let handshake, let problem = handshake.verification.problem {
            answered(handshake, peer)
            return self.error(peer.hop, problem.sentence(of: host(peer)), remedy(problem, peer), .retry)
        }
        guard let failure = TLSFailure(error) else { return self.error(peer.hop, error.userDescription, "", .retry) }
        if failure.isClosed { return closedDuringHandshake(peer, handshake) }
        if let handshake { answered(handshake, peer) }
        let (answer, remedy) = words(for: failure, peer)
        return self.error(peer.hop, answer, remedy, .retry)
    }

    /// The connection ended before the handshake did, and nothing says why.
    func closedDuringHandshake(_ peer: TLSPeer, _ handshake: TLSHandshake?) -> DialError {
        if let handshake { unanswered(handshake, peer) }
        let remedy =
            peer == .server
            ? afterConnect : "check the proxy's port: one that does not speak TLS is written with http://"
        return error(peer.hop, "the connection was closed during the handshake", remedy, .retry)
    }

    /// What is wrong with what we were told to say in the handshake.
    func unusableTLS(_ error: any Error, _ peer: TLSPeer) -> DialError {
        let flags = peer == .server ? "--tls-certificate and --tls-key" : "--proxy-certificate and --proxy-key"
        if let problem = TLSIdentity.problem(of: peer == .server ? configuration.tls : configuration.proxyTLS) {
            return self.error(peer.hop, problem, "check \(flags)", .configuration)
        }
        let answer = "\(host(peer)) cannot be named in a TLS handshake: it is too long"
        return self.error(peer.hop, answer, "check the URL", .configuration)
    }

    private func words(for failure: TLSFailure, _ peer: TLSPeer) -> (answer: String, remedy: String) {
        let host = host(peer)
        if failure.says(TLSFailure.plain) { return notTLS(peer) }
        if failure.says("ALERT_UNEXPECTED_MESSAGE") {
            let (answer, remedy) = notTLS(peer)
            return ("\(answer), or expects another handshake", remedy)
        }
        if failure.says("KEY_USAGE_BIT_INCORRECT") {
            return (
                "the key usage of the certificate of \(host) lacks digitalSignature, without which TLS cannot use it",
                "it must be issued anew with the key usage digitalSignature, or without a key usage"
            )
        }
        if failure.says("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL") {
            guard configuration.tls.maximumTLSVersion == nil else {
                return (
                    "\(host) does not speak the allowed versions of TLS", "allow a newer one with --tls-max-version"
                )
            }
            return (
                "\(host) speaks no TLS 1.2 or newer",
                "the operator of \(host) must allow TLS 1.2; older versions are not secure"
            )
        }
        if failure.says("UNRECOGNIZED_NAME") {
            return ("the other end knows no \(host)", "write the URL with a name that it serves")
        }
        if failure.says("NO_COMMON_SIGNATURE_ALGORITHMS", "NO_SHARED_CIPHER", "NO_SHARED_GROUP", "WRONG_CURVE") {
            return (
                "\(host) and this client have no cipher, group or signature in common", "allow more with --tls-groups"
            )
        }
        if isNarrowed, failure.says("HANDSHAKE_FAILURE", "INTERNAL_ERROR", "INSUFFICIENT_SECURITY") {
            return (
                "\(host) takes none of the key exchanges or versions that were offered",
                "allow more with --tls-groups or --tls-max-version"
            )
        }
        if failure.says(Self.refusals) {
            let remedy =
                peer == .server
                ? "the server or its front may want a certificate of yours: give it with --tls-certificate and --tls-key"
                : "it may want a certificate of yours: give it with --proxy-certificate and --proxy-key"
            return ("the other end refused the handshake (\(Self.alert(failure)))", remedy)
        }
        return ("the handshake failed: \(failure.userDescription)", "check what runs at \(host), and its certificate")
    }

    /// Whether the user has narrowed what is offered.
    private var isNarrowed: Bool {
        configuration.tls.curves != TLSConfiguration.tunnelGroups || configuration.tls.maximumTLSVersion != nil
    }

    private func remedy(_ problem: CertificateProblem, _ peer: TLSPeer) -> String {
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
            return "check this machine's clock; if it is right, the certificate of \(host(peer)) must be renewed"
        case .selfSigned, .unknownIssuer, .unknownRoot, .otherKey: return remedyForIssuer(problem, peer)
        case .tooMany, .unreadable, .unreadableIssuer, .wrongPurpose, .notAnAuthority, .unknownExtension,
            .nameConstraints:
            return "the certificate of \(host(peer)) must be issued anew"
        }
    }

    private func remedyForIssuer(_ problem: CertificateProblem, _ peer: TLSPeer) -> String {
        let chain: String
        if case .unknownIssuer(let issuer) = problem {
            chain = "if \(issuer) is an intermediate CA, the other end must send its certificate too; "
        } else {
            chain = ""
        }
        switch peer {
        case .proxy:
            return chain + "ask the proxy's administrators for the certificate of its CA, and give it with --ca FILE"
        case .server where proxy != nil && problem != .selfSigned:
            return chain
                + "if that is not the server's own CA, the proxy inspects TLS: ask its administrators for the certificate "
                + "of that CA, and give it with --ca FILE"
        case .server:
            return chain
                + "if that is the server's own CA or a box of your company that inspects TLS, give its certificate with "
                + "--ca FILE"
        }
    }

    /// Something answered a handshake with other bytes than TLS.
    private func notTLS(_ peer: TLSPeer) -> (answer: String, remedy: String) {
        switch peer {
        case .proxy:
            ("the proxy does not speak TLS on this port", "write its URL with http://")
        case .server where proxy == nil:
            ("the server does not speak TLS on this port", "write the URL with ws://, or with the port that speaks TLS")
        case .server:
            (
                "what answers behind the proxy does not speak TLS",
                "if the network wants a login, open any page in a browser and log in; else check the server's port, "
                    + "and write ws:// if it has no TLS"
            )
        }
    }

    private func host(_ peer: TLSPeer) -> String {
        switch peer {
        case .server: endpoint.host
        case .proxy: proxy?.host ?? ""
        }
    }

    /// BoringSSL's names for the alerts by which the other end turns down what we have shown, or not shown.
    private static let refusals = [
        "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE_UNKNOWN",
        "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_ACCESS_DENIED", "UNSUPPORTED_CERTIFICATE",
    ]

    /// The alert's name out of BoringSSL's line.
    private static func alert(_ failure: TLSFailure) -> String {
        TLSFailure.spelt(refusals.first { failure.says($0) } ?? "alert")
    }
}
