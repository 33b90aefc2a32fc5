import Logging
import Mux
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import WebSocket

/// What all of a server's connections share, whatever loop they live on.
final class ServerCore: Sendable {
    /// The time from accept to proof. Absolute: a byte now and then buys no more of it.
    static let handshakeTimeout = TimeAmount.seconds(10)

    let configuration: ServerConfiguration
    let authenticator: Authenticator
    let admission = Admission()
    let registry = PortRegistry()
    let throttle = LogThrottle()
    let logger: Logger
    private let tls: NIOSSLContext?
    private let sessions = Mutex<[ObjectIdentifier: SessionHandle]>([:])

    init(_ configuration: ServerConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.authenticator = Authenticator(configuration)
        self.logger = logger
        self.tls = try configuration.tls.map(NIOSSLContext.init(configuration:))
    }

    /// The sessions that live now.
    var liveSessions: [SessionHandle] { sessions.withLock { Array($0.values) } }

    // MARK: A stranger's connection

    /// Prepares a connection that was accepted on the endpoint.
    func prepare(_ channel: any Channel) throws {
        let address = channel.remoteAddress?.ipAddress ?? "unix"
        var logger = logger
        logger[metadataKey: "peer"] = "\(channel.remoteAddress?.inShort ?? "unix")"
        guard admission.enter(address) else {
            try channel.pipeline.syncOperations.addHandler(BusyHandler())
            return
        }
        try SocketOptions.carrier(channel)
        let upgrade = ServerUpgrade(
            path: configuration.path,
            subprotocols: [subprotocolName],
            allowedOrigins: configuration.allowedOrigins
        )
        let connection = ServerConnection(
            server: self,
            channel: channel,
            upgrade: upgrade,
            address: address,
            logger: logger
        )
        try connection.install(tls: tls)
    }

    /// Starts the session of a client that has proved itself.
    func open(
        _ verified: ServerOpening.Verified,
        _ client: ServerConfiguration.Client,
        _ carrier: Carrier,
        _ channel: any Channel,
        _ logger: Logger
    ) {
        let authentication = verified.authentication
        let name = authentication.name.isEmpty ? client.name : "\(client.name)/\(authentication.name)"
        var logger = logger
        logger[metadataKey: "client"] = "\(name)"
        TunnelMetrics.sessions.increment()
        logger.notice(
            "session opened",
            metadata: ["software": "\(authentication.software)", "authority": "\(authentication.authority)"]
        )
        carrier.send(
            verified.welcome(
                Welcome(
                    session: SecureRandom.bytes(16),
                    initialWindow: UInt32(clamping: configuration.limits.initialWindow),
                    grace: 0
                )
            )
        )
        let driver = SessionDriver(
            session: Session(
                role: .server,
                limits: configuration.limits,
                peerWindow: authentication.initialWindow,
                seed: SecureRandom.seed(),
                now: .now
            ),
            carrier: carrier,
            loop: channel.eventLoop,
            logger: logger
        )
        let session = ServerSession(
            driver: driver,
            client: client,
            policy: BindPolicy(
                publicAddresses: configuration.publicAddresses,
                allowedPorts: configuration.allowedPorts
            ),
            registry: registry,
            logger: logger,
            loop: channel.eventLoop
        )
        let handle = SessionHandle(
            session,
            owner: PortRegistry.Owner(client: authentication.id, instance: authentication.instance),
            name: name,
            loop: channel.eventLoop
        )
        sessions.withLock { $0[ObjectIdentifier(handle)] = handle }
        session.start(handle) { [self] handle in
            _ = sessions.withLock { $0.removeValue(forKey: ObjectIdentifier(handle)) }
        }
    }
}

/// One accepted connection on its way to a carrier: who it is, its place, its deadline.
private final class ServerConnection {
    private let server: ServerCore
    private let channel: any Channel
    private let upgrade: ServerUpgrade
    private let address: String
    private let logger: Logger

    init(server: ServerCore, channel: any Channel, upgrade: ServerUpgrade, address: String, logger: Logger) {
        self.server = server
        self.channel = channel
        self.upgrade = upgrade
        self.address = address
        self.logger = logger
    }

    func install(tls: NIOSSLContext?) throws {
        let pipeline = channel.pipeline.syncOperations
        let timeout = channel.eventLoop.assumeIsolated().scheduleTask(in: ServerCore.handshakeTimeout) {
            self.timeOut()
        }
        let place = AdmissionPlace(server.admission, address: address, deadline: timeout)
        try pipeline.addHandler(AdmissionHandler(place))
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        try pipeline.addHandler(
            UpgradeHandler(upgrade: upgrade, logger: logger, throttle: server.throttle) { channel in
                let greeting = ServerGreeting(
                    server: self.server,
                    channel: channel,
                    address: self.address,
                    place: place,
                    logger: self.logger
                )
                let carrier = Carrier(role: .server, receiver: greeting)
                try channel.pipeline.syncOperations.addHandler(carrier)
                greeting.start(carrier)
            }
        )
    }

    private func timeOut() {
        if let context = try? channel.pipeline.syncOperations.context(handlerType: UpgradeHandler.self),
            let handler = context.handler as? UpgradeHandler
        {
            handler.timeOut(context)
        }
        channel.close(promise: nil)
    }
}

/// Answers a connection for which there is no place, and closes it.
private final class BusyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}
