import HTTPRelay
import Mux
import TunnelCore

/// Decides which host names a client's BIND may have, and under which URLs they are public.
struct NamePolicy: Sendable {
    private let patterns: [NamePattern]
    /// The domain of names without a dot.
    let domain: PublicName?
    private let endpointHost: PublicName?
    private let hasHTTP: Bool
    private let hasHTTPS: Bool
    private let certificates: CertificateNames
    /// Whether a CA issues certificates for further names.
    private let hasAuthority: Bool

    init(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        patterns = rights.names
        domain = configuration.httpDomain
        endpointHost = configuration.endpointHost
        hasHTTP = !configuration.httpListen.isEmpty
        hasHTTPS = !configuration.httpsListen.isEmpty
        certificates = CertificateNames(configuration.certificates)
        hasAuthority = configuration.acme != nil
    }

    /// Whether requests for a name are accepted over TLS.
    private func isSecure(_ name: String) -> Bool { hasHTTPS && (hasAuthority || certificates.covers(name)) }

    /// The patterns of the client's names, separated by spaces; empty if it may have none.
    var shown: String { hasHTTP || hasHTTPS ? patterns.map(\.description).joined(separator: " ") : "" }

    /// The request with its complete name.
    ///
    /// - Throws: the refusal that is sent to the client.
    func permitted(_ request: RequestedName) throws(Refusal) -> RequestedName {
        guard hasHTTP || hasHTTPS else {
            throw Refusal(.portNotAllowed, "this server publishes no host names: it has no http_listen or https_listen")
        }
        guard var name = PublicName(request.name) else {
            throw Refusal(.portNotAllowed, "\(request.name) is not a host name")
        }
        if name.isShort {
            guard let domain else {
                throw Refusal(.portNotAllowed, "\(name) needs a domain: the server has no http_domain")
            }
            guard let whole = name.below(domain) else {
                throw Refusal(.portNotAllowed, "\(name) is too long below \(domain)")
            }
            name = whole
        }
        guard patterns.contains(where: { $0.covers(name) }) else {
            let own = patterns.isEmpty ? "none" : patterns.map(\.description).joined(separator: ", ")
            throw Refusal(.portNotAllowed, "the name \(name) is not allowed here; allowed: \(own)")
        }
        guard name != endpointHost else {
            throw Refusal(.portNotAllowed, "\(name) is the server's own name")
        }
        switch request.relay {
        case .tls:
            guard hasHTTPS else {
                throw Refusal(.portNotAllowed, "this server passes no TLS through: it has no https_listen")
            }
        case .http:
            guard hasHTTP || isSecure(name.description) else {
                throw Refusal(.portNotAllowed, "the server has no certificate for \(name), and no http_listen")
            }
        }
        guard request.path.isEmpty || request.path.hasPrefix("/") else {
            throw Refusal(.portNotAllowed, "the path \(request.path) does not begin with /")
        }
        // A tunnel whose passwords cannot be read must not be open to all.
        _ = try request.visitorPasswords()
        var request = request
        request.name = name.description
        return request
    }

    /// The URL at which a place is public.
    ///
    /// - Parameter ports: the ports that are bound.
    func urls(of place: NamePlace, at ports: RouterPorts) -> String {
        if place.relay == .tls { return "tls://\(place.name):\(ports.https ?? 443)" }
        let isSecure = isSecure(place.name)
        let (scheme, standard) = isSecure ? ("https", 443) : ("http", 80)
        let port = Int((isSecure ? ports.https : ports.http) ?? UInt16(standard))
        return "\(scheme)://\(place.name)\(port == standard ? "" : ":\(port)")\(place.path)"
    }
}

/// The ports of the first addresses of the router; nil for a socket in the file system.
struct RouterPorts: Sendable {
    var http: UInt16?
    var https: UInt16?
}
