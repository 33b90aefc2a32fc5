import Mux
import TunnelCore

/// The rules of one session: its client's rights within the server's configuration. A reload replaces them as a whole.
struct SessionRules {
    let rights: ClientRights
    /// The ports and addresses that the client may have.
    let policy: BindPolicy
    /// The names that the client may have.
    let names: NamePolicy
    /// The limits of visitors, unless the client asks for stricter ones.
    let visitorLimits: VisitorLimits
    /// The destinations that the client may name.
    let destinations: DestinationPolicy
    /// The fronts before the public ports; nil if there are none.
    let fronts: PortFronts?
    let limits: ServerLimits
    let drainTimeout: Duration
    /// The SHA-256 of the server's own certificate, in hexadecimal; empty without TLS.
    let certificate: String
    /// The users who may connect to the client's Unix sockets.
    let unixAccess: UnixSocketAccess

    init(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        self.rights = rights
        policy = rights.policy(configuration)
        names = NamePolicy(rights, configuration)
        visitorLimits = rights.visitors ?? configuration.visitors
        destinations = DestinationPolicy(rights.destinations)
        fronts = PortFronts(configuration)
        limits = configuration.serverLimits
        drainTimeout = configuration.drainTimeout
        unixAccess = configuration.unixAccess
        certificate = configuration.tls.flatMap { TLSIdentity.fingerprint(of: $0) } ?? ""
    }

    /// The limits of one tunnel's visitors; nil if the request's lists of addresses cannot be read.
    func visitorLimits(for request: BindRequest) -> VisitorLimits? {
        visitorLimits.narrowed(by: request.visitors)
    }

    /// The addresses on which a request is bound, its path, or its name.
    ///
    /// - Throws: the refusal that is sent to the client.
    func addresses(for request: BindRequest) throws(Refusal) -> [String] {
        guard let name = request.name else { return try policy.addresses(for: request) }
        return [NamePlace(try names.permitted(name)).description]
    }

    /// The refusal of another tunnel beside so many others; nil if the client may have it.
    func refusalOfAnother(beside others: Int) -> Refusal? {
        guard let limit = rights.maximumTunnels, others >= limit else { return nil }
        return PortRefusal.limit(ofTunnels: limit)
    }

    /// The refusal of a port that is bound already; nil if the client may still have it.
    func refusal(of request: BindRequest, at listener: any PortListener, beside others: Int) -> Refusal? {
        if let refusal = refusalOfAnother(beside: others) { return refusal }
        do throws(Refusal) {
            var bound = request
            bound.port = listener.place.port
            let addresses = Set(try self.addresses(for: bound))
            guard listener.requestedAddresses.isSubset(of: addresses) else {
                return Refusal(.portNotAllowed, "this client may not have the port on these addresses any more")
            }
            return nil
        } catch {
            return error
        }
    }
}
