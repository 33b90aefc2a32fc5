import Cluster
import Mux
import NIOSSL
import TunnelCore

/// The table `[cluster]` of a server's configuration.
public struct ClusterConfiguration: Sendable {
    /// URLs of etcd's members: `https://10.0.0.5:2379`.
    public var etcd: [String]
    /// The beginning of all keys in etcd.
    public var prefix = "culvert/"
    /// The user at etcd, with its password; nil for an etcd without users.
    public var user: (name: String, password: String)?
    /// The address on which other servers reach this one.
    public var peerListen: ListenAddress
    /// The URL under which they reach it; nil for one made of ``peerListen``.
    public var peerURL: String?
    /// The time for which the server still serves everything after it was asked to stop, while `readyz` says 503. Longer than
    /// a load balancer needs to notice that.
    public var leavingTime = Duration.seconds(2)
    /// The secret that all servers share; nil only if ``peerListen`` is loopback.
    public var token: Token?
    /// The CAs of etcd's and the other servers' certificates, in place of the system's; nil for the system's.
    public var authorities: [NIOSSLCertificate]?
    /// The certificate for other servers and for etcd, with its key.
    public var identity: (chain: [NIOSSLCertificateSource], key: NIOSSLPrivateKeySource)?

    /// A configuration with defaults for the rest.
    public init(etcd: [String], peerListen: ListenAddress) {
        self.etcd = etcd
        self.peerListen = peerListen
    }

    /// A fault of a configuration.
    package struct Problem: Sendable, Hashable {
        /// The key.
        package let key: String
        /// What is wrong with it: a clause.
        package let text: String
        /// Whether the key is missing.
        package var isMissing = true
    }

    /// All faults; none if a server can join a cluster so.
    package var problems: [Problem] {
        var problems: [Problem] = []
        if etcd.isEmpty {
            let text = "it is missing: the members of etcd, for instance \"https://10.0.0.5:2379\""
            problems.append(Problem(key: "etcd", text: text))
        }
        guard case .tcp = peerListen else {
            let text = "expected ADDR:PORT that other servers reach"
            return problems + [Problem(key: "peer_listen", text: text, isMissing: false)]
        }
        guard !peerListen.isLocal else { return problems }
        if token == nil {
            let text = "it is missing: other machines reach peer_listen, and must prove that they are servers"
            problems.append(Problem(key: "token_file", text: text))
        }
        if identity == nil {
            let text = "it is missing: servers speak TLS with each other unless peer_listen is loopback"
            problems.append(Problem(key: "certificate", text: text))
        }
        return problems
    }

    /// The setup of a server, with the store and the dialler for other servers.
    package func setup(store: any ClaimStore, dialler: any PeerDialler) -> ClusterSetup {
        let credentials = (token ?? .none).credentials()
        var setup = ClusterSetup(
            store: store,
            dialler: dialler,
            listen: peerListen,
            url: peerURL,
            clients: [ClientRights(name: "server", verifier: credentials.verifier)],
            tls: identity.map { TLSConfiguration.tunnelServer(certificateChain: $0.chain, privateKey: $0.key) }
        )
        setup.leavingTime = leavingTime
        return setup
    }
}
