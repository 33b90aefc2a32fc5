import ACME
import ClientHello
import HTTPRelay
import NIOCore
import TunnelCore

/// The visitors over TLS, by the name in their ClientHello.
extension Router {
    /// What becomes of a visitor over TLS.
    enum TLSDecision {
        case alert(TLSAlert, reason: String)
        /// The service itself terminates TLS.
        case pass(RouteMember)
        case terminate(TLSForServer)
    }

    /// Decides about a visitor.
    func decide(_ hello: ClientHello, _ origin: inout VisitorOrigin) -> TLSDecision {
        let configuration = core.configuration
        origin.isSecure = true
        guard let name = origin.serverName else {
            // Clients that dial the endpoint by its address name no host.
            if let tls = core.sharedTLS { return .terminate(tls) }
            return .alert(.unrecognizedName, reason: "its ClientHello names no host")
        }
        if hello.applicationProtocols == [ChallengeCertificate.applicationProtocol] {
            if let tls = core.challengeTLS(for: name.description) { return .terminate(tls) }
            // The service of a name whose TLS is passed through may get its certificate by itself.
            if core.resources.routes.tls(name) == nil {
                return .alert(.noApplicationProtocol, reason: "no certificate of \(name) is being asked for")
            }
        }
        if let route = core.resources.routes.tls(name) {
            guard let member = route.member(for: origin.address) else {
                return .alert(.internalError, reason: "no service of \(name) is healthy")
            }
            return .pass(member)
        }
        let isKnown =
            core.resources.routes.hasHTTP(name) || name == configuration.endpointHost || configuration.backend != nil
        if isKnown, let tls = core.tls(for: name.description, offersHTTP2: core.resources.routes.hasHTTP(name)) {
            return .terminate(tls)
        }
        if let tls = core.sharedTLS, !core.resources.routes.has(name) { return .terminate(tls) }
        return .alert(
            .unrecognizedName,
            reason: isKnown ? "there is no certificate for \(name)" : "no service has the name \(name)"
        )
    }
}
