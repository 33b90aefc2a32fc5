import ACME
import HTTP1
import Logging
import Metrics
import Mux
import NIOCore
import NIOSSL
import Synchronization
import TunnelCore
import WebSocket

/// The state that all connections of a server share, on all event loops.
///
/// `ServerCoreSessions.swift` has its sessions.
final class ServerCore: Sendable {
    private let settings: Mutex<ServerSettings>
    let admission: Admission
    let backendSlots = ConnectionSlots()
    let resources: ServerResources
    let sessions = Mutex(SessionTable())
    let gone = Mutex(GoneClients())
    private let stopping = Atomic(false)
    let logger: Logger
    /// Certificates from a CA; nil if all are configured.
    let acme: ACMECertificates?
    private let contexts: CertificateContexts

    /// - Throws: the reason why the certificate or its key cannot be used.
    init(
        _ configuration: ServerConfiguration,
        memoryUse: MemoryUse = MemoryUse(),
        metrics: any MetricsFactory = MetricsSystem.factory,
        peerHome: PeerHome? = nil,
        cluster: ((ServerResources) -> any ClusterDirectory)? = nil,
        logger: Logger
    ) throws {
        let contexts = CertificateContexts()
        self.contexts = contexts
        acme = try configuration.acme.map { acme in
            try ACMECertificates(acme, logger: logger) { name in contexts.forget(name) }
        }
        settings = Mutex(try ServerSettings(configuration))
        admission = Admission(configuration.serverLimits)
        var resources = ServerResources(configuration.serverLimits, memoryUse: memoryUse, metrics: metrics)
        resources.fronts.value = PortFronts(configuration)
        resources.peerHome = peerHome
        resources.cluster = cluster?(resources)
        self.resources = resources
        self.logger = logger
    }

    // MARK: Configuration

    /// The latest configuration.
    var configuration: ServerConfiguration { settings.withLock { $0.configuration } }

    /// What the router needs of the latest configuration.
    var routerRules: RouterRules { settings.withLock { $0.router } }

    /// The authenticator of the latest configuration.
    var authenticator: Authenticator { settings.withLock { $0.authenticator } }

    /// Replaces the configuration.
    ///
    /// New connections follow it at once. Clients that have lost their rights are disconnected; streams of the others
    /// continue. Listening addresses and their queues stay, and a session keeps the limits with which it began.
    ///
    /// It returns once every session follows the new configuration.
    ///
    /// The seal of sessions stays as it is: their clients know the key.
    ///
    /// - Throws: the reason why the certificate or its key cannot be used. Nothing has changed then.
    func reload(_ configuration: ServerConfiguration) async throws {
        var configuration = configuration
        (configuration.encryption, configuration.serverKey) = settings.withLock {
            ($0.configuration.encryption, $0.configuration.serverKey)
        }
        let new = try ServerSettings(configuration)
        settings.withLock { $0 = new }
        resources.fronts.value = PortFronts(configuration)
        resources.update(configuration.serverLimits)
        admission.update(configuration.serverLimits)
        let now = WallClock.unixSeconds
        var updates: [EventLoopFuture<Void>] = []
        for session in liveSessions {
            if let refusal = new.authenticator.refusal(of: session.credential, now: now) {
                _ = session.end(Refusal(.goingAway, refusal.text))
            } else if let rights = new.authenticator.rights(of: session.credential) {
                updates.append(session.update(rights, configuration))
            }
        }
        // An update fails only if its event loop has shut down, and the session with it.
        for update in updates { try? await update.get() }
        resources.routes.reportAll()
    }

    // MARK: Stopping

    /// Whether the server accepts nothing new.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Accepts no further session.
    func stop() { stopping.store(true, ordering: .relaxed) }

    // MARK: Connections

    /// Prepares a connection that was accepted on the endpoint.
    func prepare(_ channel: any Channel) throws {
        var logger = logger
        // A connection that was reset in the meantime has no remote address, which does not make it a unix socket.
        let peer = channel.peerAddress
        logger[metadataKey: "peer"] = "\(peer?.inShort ?? "unix")"
        let (tls, fronts) = settings.withLock { ($0.tls, $0.configuration.trustedFronts) }
        let front = fronts.contains(peer) ? fronts : nil
        // The address behind a front is not known yet.
        let address = front == nil ? Admission.address(of: peer) : nil
        guard let slot = admission.arrive(address, close: { [channel] in channel.close(promise: nil) }) else {
            resources.metrics.failed(.busy)
            try channel.pipeline.syncOperations.addHandler(BusyHandler(isPlain: tls == nil && admission.mayAnswer()))
            return
        }
        let connection = ServerConnection(
            server: self,
            channel: channel,
            slot: slot,
            address: address,
            front: front,
            logger: logger
        )
        try connection.install(tls: tls)
    }

    /// Takes a connection of the router whose request is for the endpoint.
    func adopt(_ channel: any Channel, _ origin: VisitorOrigin, _ head: RequestHead, _ rest: ByteBuffer) throws {
        var logger = logger
        logger[metadataKey: "peer"] = "\(origin.description)"
        let address = origin.front == nil ? origin.address.flatMap { $0.isLoopback ? nil : Admission.key($0) } : nil
        guard let slot = admission.arrive(address, close: { [channel] in channel.close(promise: nil) }) else {
            resources.metrics.failed(.busy)
            return channel.close(promise: nil)
        }
        let connection = ServerConnection(
            server: self,
            channel: channel,
            slot: slot,
            address: address,
            front: origin.front,
            logger: logger
        )
        try connection.install(tls: nil, isTerminated: origin.isSecure)
        var bytes = ByteBuffer()
        try head.serialize(into: &bytes)
        bytes.writeImmutableBuffer(rest)
        channel.eventLoop.execute { [bytes] in
            channel.pipeline.fireChannelRead(bytes)
            channel.pipeline.fireChannelReadComplete()
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
        }
    }

    /// The TLS for a host name; nil without a certificate for it.
    ///
    /// - Parameter offersHTTP2: whether visitors may speak HTTP/2.
    func tls(for name: String, offersHTTP2: Bool) -> TLSForServer? {
        let configured = settings.withLock { settings in
            settings.certificateNames.index(for: name).map { settings.certificates[$0] }
        }
        let tls = configured ?? contexts.tls(for: name) { acme?.identity(for: name) }
        return offersHTTP2 ? tls?.http2 : tls?.http1
    }

    /// What distinguishes the certificate of a host name from others; nil without one.
    func certificateID(for name: String) -> String? {
        if let index = settings.withLock({ $0.certificateNames.index(for: name) }) { return "\(index)" }
        return acme?.identity(for: name) == nil ? nil : name
    }

    /// The TLS with which a name is proved to a CA.
    func challengeTLS(for name: String) -> TLSForServer? {
        guard let certificate = acme?.alpnCertificate(for: name) else { return nil }
        var tls = TLSConfiguration.tunnelServer(certificateChain: certificate.chain, privateKey: certificate.key)
        tls.applicationProtocols = [ChallengeCertificate.applicationProtocol]
        return try? TLSForServer(tls, nil)
    }

    /// A name is public, or is not any more. A certificate is wanted if no configured one covers it.
    func nameChanged(_ name: String, isPublic: Bool, owner: String?) {
        guard let acme else { return }
        guard isPublic, settings.withLock({ $0.certificateNames.index(for: name) }) == nil else {
            return acme.unwant(name)
        }
        if let problem = acme.want(name, owner: owner) {
            logger.warning("no certificate for a name", metadata: ["name": "\(name)", "reason": "\(problem)"])
        }
    }

    /// The endpoint's own TLS, if the endpoint shares an address with the names; nil otherwise.
    var sharedTLS: TLSForServer? {
        settings.withLock { $0.configuration.sharesSecureAddress ? $0.tls : nil }
    }

    /// The endpoint's answer to an upgrade.
    ///
    /// A client may ask for compression. Messages may hold bytes of different visitors, so no compression window outlives
    /// a message unless the operator allows it.
    var upgrade: ServerUpgrade {
        let configuration = configuration
        return ServerUpgrade(
            path: configuration.path,
            subprotocols: [subprotocolName],
            allowedOrigins: configuration.allowedOrigins,
            deflate: configuration.sharesCompression ? DeflateOptions() : .isolated
        )
    }
}
