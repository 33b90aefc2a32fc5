import Cluster
import NIOSSL
import TunnelCore

/// What a server needs to join a cluster.
package struct ClusterSetup: Sendable {
    /// The claims of all servers.
    package var store: any ClaimStore
    /// Dials other servers.
    package var dialler: any PeerDialler
    /// The address on which other servers reach this one.
    package var listen: ListenAddress
    /// The URL under which other servers reach it; nil for one made of ``listen``.
    package var url: String?
    /// The verifiers of the cluster's token, which all servers share.
    package var clients: [ClientRights]
    /// The certificate for other servers; nil for an address of this machine alone.
    package var tls: TLSConfiguration?
    /// The time for which the server still serves everything after it was asked to stop, while `readyz` says 503.
    package var leavingTime = Duration.seconds(2)
    /// The times of links to other servers.
    package var linkTimes = PeerLinkTimes()
    /// Times and limits.
    package var limits = ClusterLimits()

    /// Creates a setup.
    package init(
        store: any ClaimStore,
        dialler: any PeerDialler,
        listen: ListenAddress,
        url: String? = nil,
        clients: [ClientRights],
        tls: TLSConfiguration? = nil
    ) {
        (self.store, self.dialler, self.listen) = (store, dialler, listen)
        (self.url, self.clients, self.tls) = (url, clients, tls)
    }
}
