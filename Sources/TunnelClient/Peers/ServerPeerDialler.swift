import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// Dials other servers of a cluster, as a client without tunnels that authenticates with the cluster's token.
///
/// A URL comes from the cluster's store. Without TLS the bytes of all visitors would be at its mercy, so such a URL is dialled
/// at a loopback address alone.
package struct ServerPeerDialler: PeerDialler {
    private let token: Token?
    private let trust: TLSTrust
    /// Derived once for all dials.
    private let credentials: ClientCredentials
    private let instance: [UInt8]
    private let limits: MuxLimits
    private let logger: Logger
    /// What all dials share: TLS with its CAs, and the tickets by which a crowded server knows its own kind.
    let context: DialContext

    /// - Parameters:
    ///   - token: the cluster's; nil only for servers of one machine.
    ///   - trust: the CAs of the other servers' certificates.
    ///   - limits: those of each session.
    package init(token: Token?, trust: TLSTrust, limits: MuxLimits = MuxLimits(), logger: Logger) {
        (self.token, self.trust, self.limits, self.logger) = (token, trust, limits, logger)
        instance = ClientInstance.random()
        credentials = ClientCredentials(token)
        var configuration = ClientConfiguration(endpoints: [], tunnels: [], token: token, instance: instance)
        configuration.trust = trust
        context = DialContext(configuration, logger: logger)
    }

    package func connect(to url: String, _ owner: NIOLoopBound<any PeerConnectionOwner>) -> any PeerConnection {
        let endpoint: EndpointURL
        do throws(EndpointURL.Malformed) {
            endpoint = try EndpointURL(url)
        } catch {
            return refused("its peer_url is malformed: \(error)", owner)
        }
        guard endpoint.suitsPeers else {
            return refused("its peer_url \(endpoint) has no TLS, and is dialled at a loopback address alone", owner)
        }
        var configuration = ClientConfiguration(endpoints: [endpoint], tunnels: [], token: token, instance: instance)
        configuration.name = "server"
        configuration.trust = trust
        configuration.limits = limits
        // The servers' network loses little, and each link carries many visitors.
        configuration.carriers = .one
        // TLS is between the servers, with nothing that could inspect it, and the cluster's token.
        configuration.encryption = .off
        // A server that is gone is noticed at the first try: its visitors are reset, and others begin anew.
        configuration.maximumRetries = 0
        configuration.drainTimeout = .zero
        var client = Client(configuration, eventLoopGroup: owner.eventLoop, logger: logger)
        client.peerOwner = owner
        client.credentials = credentials
        client.context = context
        let running = client
        return ServerPeerConnection(
            Task {
                var reason = "it was closed"
                do { try await running.run() } catch { reason = "\(error)" }
                let ended = reason
                owner.eventLoop.execute { owner.value.connectionEnded(ended) }
            }
        )
    }

    private func refused(
        _ reason: String,
        _ owner: NIOLoopBound<any PeerConnectionOwner>
    ) -> any PeerConnection {
        owner.eventLoop.execute { owner.value.connectionEnded(reason) }
        return ServerPeerConnection(Task {})
    }
}

extension EndpointURL {
    /// Whether servers of a cluster dial it: with TLS, or at a loopback address, and no name can stand for one.
    package var suitsPeers: Bool { isSecure || IPAddress(host)?.isLoopback == true }
}

/// A session at another server, or the attempt to begin one.
private struct ServerPeerConnection: PeerConnection {
    private let task: Task<Void, Never>

    init(_ task: Task<Void, Never>) {
        self.task = task
    }

    func close() { task.cancel() }
}
