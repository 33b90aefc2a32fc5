import Cluster
import EtcdStore
import Logging
import Mux
import NIOSSL
import Tunnel
import TunnelClient
import TunnelServer

/// Makes what a server needs to join the cluster of its configuration.
enum ClusterJoin {
    /// - Throws: ``Failure`` if an address or a certificate cannot be used.
    static func setup(
        _ cluster: ClusterConfiguration,
        limits: MuxLimits,
        logger: Logger
    ) throws(Failure) -> ClusterSetup {
        let store: EtcdClaimStore
        do throws(EtcdConfigurationError) {
            store = try EtcdClaimStore(try configuration(cluster), logger: logger)
        } catch {
            throw Failure(.configuration, "[cluster] etcd: \(error)")
        }
        let trust = cluster.authorities.map { TLSTrust(authorities: $0, includesSystem: false) } ?? TLSTrust()
        let dialler = ServerPeerDialler(
            token: cluster.token,
            trust: trust,
            limits: limits.betweenServers,
            logger: logger
        )
        return cluster.setup(store: store, dialler: dialler)
    }

    private static func configuration(
        _ cluster: ClusterConfiguration
    ) throws(EtcdConfigurationError) -> EtcdConfiguration {
        var endpoints: [EtcdEndpoint] = []
        for text in cluster.etcd { endpoints.append(try EtcdEndpoint(text)) }
        var etcd = EtcdConfiguration(endpoints: endpoints)
        etcd.authorities = cluster.authorities ?? []
        etcd.certificateChain = cluster.identity?.chain ?? []
        etcd.privateKey = cluster.identity?.key
        etcd.user = cluster.user?.name
        etcd.password = cluster.user?.password ?? ""
        etcd.prefix = cluster.prefix
        return etcd
    }
}
