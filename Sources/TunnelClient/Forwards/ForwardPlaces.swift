import TunnelCore

extension ForwardListeners {
    /// The places on which the forwards listen or are about to. A visitor of a SOCKS tunnel that reached one of them would
    /// come from the public into the server's network.
    var places: DestinationPolicy.Own {
        var places = DestinationPolicy.Own()
        for forward in forwards {
            switch forward.spec.listen {
            case .port(let port, _): places.ports.insert(forward.port ?? port)
            case .path(let path): places.paths.insert(path)
            }
        }
        return places
    }
}
