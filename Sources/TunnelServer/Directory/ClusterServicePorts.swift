import Cluster
import TunnelCore

/// Ports of other servers.
extension ClusterService {
    /// Listens at a port that a session of another server has, or ceases to.
    func portChanged(_ place: ClaimPlace) {
        let all = state.value.node.claims(of: place)
        let claims = all.filter { $0.claim.home != id }
        switch place {
        case .tcp(let port):
            let own = all.filter { $0.claim.home == id }.compactMap { ownMember($0.claim) }
            ports.update(.port(port), claims.map { member($0.claim) } + own)
        case .udp(let port):
            ports.update(.udp(port), [], flows: claims.first.map { flows($0.claim) })
        case .name:
            break
        }
    }

    /// The record of a claim's server may come later than the claim. So it is looked for when a visitor comes.
    private func member(_ claim: Claim) -> RouteMember {
        let destination = PeerDestination.tunnel(claim.tunnel, session: claim.session)
        return relay(destination, to: claim.home, tunnel: claim.tunnel, of: claim.client) {}
    }

    private func flows(_ claim: Claim) -> RemotePorts.Flows {
        let destination = PeerDestination.tunnel(claim.tunnel, session: claim.session)
        return { [state] remote in
            state.value.link(to: claim.home)?.flow(destination, from: remote) ?? .refused
        }
    }
}
