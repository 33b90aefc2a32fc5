import Logging
import Mux
import Synchronization
import TunnelCore

/// Counts the answers to dials that were altered on the way.
final class NoticedAlterations: Sendable {
    private let watch = Mutex(AlterationWatch())

    /// Records a failed dial, and warns if there are too many whose answer was altered.
    func note(_ error: any Error, logger: Logger) {
        guard (error as? MuxError)?.kind == .altered || (error as? CarrierLoss)?.isAltered == true else { return }
        if watch.withLock({ $0.record(now: .now) }) { AlterationWatch.warn(logger) }
    }
}

/// The state that all dials of a client share.
struct DialContext: Sendable {
    /// TLS with servers.
    let tls: ClientTLSContext
    /// TLS with proxies.
    let proxyTLS: ClientTLSContext
    let memory = ProxyMemory()
    let hellos = HelloSizeMemory()
    let serverTickets = ServerTickets()
    let suspects = SuspectAddresses()
    let serverKeys: ServerKeys
    /// Notices that something alters what servers answer.
    let alterations = NoticedAlterations()
    /// The resolver of names.
    let names: HostNames
    private(set) var logger: Logger
    /// Receives the hops that dials pass.
    let onHop: HopObserver?

    /// - Parameter onHop: nil writes them to the log, at debug.
    init(
        _ configuration: ClientConfiguration,
        names: HostNames = .shared,
        logger: Logger,
        onHop: HopObserver? = nil
    ) {
        self.names = names
        self.onHop = onHop ?? HopLog.observer(logger)
        // Both trust the same CAs, which are read once.
        let verifier = PeerVerifier(configuration.trust, .server)
        tls = ClientTLSContext(configuration.tls, verifier)
        proxyTLS = ClientTLSContext(configuration.proxyTLS, verifier)
        self.logger = logger
        serverKeys = ServerKeys(pins: configuration.serverKeys, known: configuration.knownServers)
    }

    /// The same state for another session of the client, whose number its log lines have.
    func forSession(_ number: Int) -> DialContext {
        var context = self
        context.logger[metadataKey: "session"] = "\(number + 1)"
        return context
    }

    /// The TLS for one of the two peers.
    func tls(with peer: TLSPeer) -> ClientTLSContext { peer == .server ? tls : proxyTLS }
}
