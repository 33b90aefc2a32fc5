import Mux

/// Which addresses and ports a client's BIND may have: decided before anything is bound.
struct BindPolicy: Sendable {
    /// Addresses for a port that the client did not narrow.
    let publicAddresses: [String]
    /// The server's own bound on ports.
    let allowedPorts: PortRanges

    /// The addresses on which the request is to be bound.
    ///
    /// A client may narrow the server's addresses and never widen them.
    ///
    /// - Throws: ``Mux/Refusal`` that the client is told.
    func addresses(for request: BindRequest, of client: ServerConfiguration.Client) throws(Refusal) -> [String] {
        guard request.port == 0 || (allowedPorts.contains(request.port) && client.allowedPorts.contains(request.port))
        else {
            let allowed =
                Set(allowedPorts.ranges) == Set(client.allowedPorts.ranges)
                ? "\(allowedPorts)" : "\(client.allowedPorts) within \(allowedPorts)"
            throw Refusal(.portNotAllowed, "port \(request.port) is not allowed here; allowed: \(allowed)")
        }
        let isForAll = publicAddresses.contains("0.0.0.0")
        switch request.address {
        case "", "*": return publicAddresses
        case "localhost" where isForAll || publicAddresses.contains("127.0.0.1"): return ["127.0.0.1", "::1"]
        case "0.0.0.0" where isForAll, "::" where isForAll: return [request.address]
        case _ where isForAll || publicAddresses.contains(request.address): return [request.address]
        default:
            throw Refusal(
                .portNotAllowed,
                "public ports are bound on \(publicAddresses.joined(separator: " and ")) here, not on \(request.address)"
            )
        }
    }
}
