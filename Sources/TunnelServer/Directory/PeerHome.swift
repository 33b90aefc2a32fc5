import HTTPRelay
import Logging
import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore
import WebSocket

/// This server as the home of sessions whose visitors have reached another server.
///
/// The sessions with other servers belong to a core of their own, whose only clients are servers.
final class PeerHome: Sendable {
    /// Time in which a client must answer for its session.
    static let lifeTimeout = PublicPorts.takeOverTimeout

    private let core: ServerCore
    private let router: Router
    /// Questions for clients that are being answered.
    private let answers = Atomic(0)

    /// - Parameters:
    ///   - core: the core of the clients' sessions.
    ///   - router: the router of their host names.
    init(_ core: ServerCore, _ router: Router) {
        (self.core, self.router) = (core, router)
    }

    /// Takes a stream of another server. One hop is the last: only sessions of this server are looked at.
    func open(_ stream: StreamID, _ request: OpenRequest, in session: SessionLoop) {
        guard case .destination(let text) = request.target, let destination = PeerDestination(text) else {
            return session.run(.reset(stream, .notAllowed))
        }
        switch destination {
        case .tunnel(let number, let id):
            guard let home = core.session(id) else { return session.run(.reset(stream, .moved)) }
            guard request.kind != .udp else { return openFlow(stream, request, to: number, of: home, in: session) }
            PeerVisitor(session, stream).open(to: home.member(number), Self.visitor(request))
        case .names(let name, let isSecure):
            guard PublicName(name).map(core.resources.routes.has) == true else {
                return session.run(.reset(stream, .moved))
            }
            let (router, visitor) = (router, Self.visitor(request))
            let service = InProcessService(name: "name") { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.syncOptions?.setOption(.autoRead, value: false)
                    try router.prepare(channel, relayed: visitor, isSecure: isSecure)
                }
            }
            connect(stream, session, to: service, request, onJoined: {})
        case .taken(let key):
            core.resources.cluster?.taken(key)
            session.run(.reset(stream, .moved))
        case .carrier(let challenge, let resume):
            take(stream, session, challenge: challenge, resume: resume, request)
        case .clients:
            connect(stream, session, to: clients, request, onJoined: {})
        case .life(let id):
            // A session that drains gives its places to the next one.
            answer(stream, session, for: core.isStopping ? nil : core.session(id))
        }
    }

    private func openFlow(
        _ stream: StreamID,
        _ request: OpenRequest,
        to tunnel: UInt16,
        of home: ServerSessionHandle,
        in session: SessionLoop
    ) {
        guard let sender = HostPort(request.visitor),
            let remote = try? SocketAddress(ipAddress: sender.host, port: Int(sender.port))
        else { return session.run(.reset(stream, .notAllowed)) }
        let dropped = core.resources.totals.metrics.droppedDatagrams
        PeerFlow(session, stream, to: home.loop, dropped: dropped).open { home.flow(from: remote, at: tunnel) }
    }

    private static func visitor(_ request: OpenRequest) -> RoutedVisitor {
        RoutedVisitor(
            description: request.visitor,
            address: HostPort(request.visitor).flatMap { IPAddress($0.host) } ?? IPAddress(request.visitor),
            publicAddress: request.publicAddress,
            isFromServer: true
        )
    }

    /// Joins a stream to a connection in this process.
    ///
    /// - Parameter onJoined: called once bytes may flow.
    private func connect(
        _ stream: StreamID,
        _ session: SessionLoop,
        to service: InProcessService,
        _ request: OpenRequest,
        onJoined: @escaping () -> Void
    ) {
        let statistics = TunnelStatistics(tunnel: 0, role: .client, totals: core.resources.totals)
        let pipe = StreamPipe(
            session: session,
            stream: stream,
            policy: StreamPolicy(),
            identity: StreamIdentity(visitor: request.visitor, destination: service.name, statistics: statistics),
            logger: core.logger
        ) { pipe in
            pipe.open(stream)
            session.run(.accept(stream))
        }
        session.attach(pipe, to: stream)
        InProcessEgress(service, loop: session.eventLoop).connect(for: pipe).assumeIsolated().whenComplete { result in
            guard case .success(let channel) = result, pipe.isPending else {
                if pipe.isPending { pipe.fail(.unreachable) }
                return
            }
            do {
                try channel.pipeline.syncOperations.addHandler(pipe)
                onJoined()
            } catch {
                pipe.fail(.unreachable)
                channel.close(promise: nil)
            }
        }
    }

    // MARK: Carriers

    /// Takes the carrier of a client that has reached another server, if its proof is right.
    private func take(
        _ stream: StreamID,
        _ session: SessionLoop,
        challenge: [UInt8],
        resume: [UInt8],
        _ request: OpenRequest
    ) {
        guard
            case (var handshake, let id)? = try? ServerHandshake.relayed(
                challenge: ByteBuffer(bytes: challenge),
                resume: ByteBuffer(bytes: resume)
            ), let home = core.session(id), !core.isStopping,
            core.authenticator.refusal(of: home.credential, now: WallClock.unixSeconds) == nil
        else { return session.run(.reset(stream, .moved)) }
        guard let proof = try? core.authenticator.verifyResume(home.keys, &handshake) else {
            // As on this server's own endpoint: the client of a sealed session tries again.
            if home.keys.isSealed { home.noteAlteration() }
            return session.run(.reset(stream, home.keys.isSealed ? .connectionReset : .moved))
        }
        let options = core.configuration.sharesCompression ? DeflateOptions() : .isolated
        let deflate = DeflateAgreement(relayText: request.publicAddress, options)
        guard deflate != nil || request.publicAddress.isEmpty else { return session.run(.reset(stream, .moved)) }
        let carrier = Carrier(
            role: .server,
            limits: core.configuration.serverLimits.carrier,
            deflate: deflate,
            trace: FrameTrace(core.logger),
            receiver: RelayedCarrierReceiver()
        )
        let bound = NIOLoopBound(carrier, eventLoop: session.eventLoop)
        let service = InProcessService(name: "carrier") { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
        }
        connect(stream, session, to: service, request) {
            home.resume(carrier, on: session.eventLoop, from: CarrierOrigin(request.visitor), proof)
        }
    }

    /// The clients of this server as a document. The stream is reset if too many other servers ask.
    private var clients: InProcessService {
        InProcessService(name: "clients") { [self] channel in
            guard self.answers.add(1, ordering: .relaxed).newValue <= ClusterClients.answersAtATime else {
                self.answers.subtract(1, ordering: .relaxed)
                return channel.eventLoop.makeFailedFuture(PeerFailure("too many questions at a time"))
            }
            channel.closeFuture.whenComplete { _ in self.answers.subtract(1, ordering: .relaxed) }
            let text = channel.eventLoop.makePromise(of: String.self)
            text.completeWithTask { [core] in
                try await HomeClients(of: core).encoded(limit: ClusterClients.answerBytes)
            }
            return text.futureResult.flatMap { channel.pipeline.addHandler(ProbeText($0)) }
        }
    }

    private func answer(_ stream: StreamID, _ session: SessionLoop, for home: ServerSessionHandle?) {
        guard let home else { return session.run(.reset(stream, .moved)) }
        let end = LifeAnswer(session, stream)
        session.attach(end, to: stream)
        home.isAlive(within: Self.lifeTimeout).hop(to: session.eventLoop).assumeIsolated().whenComplete { result in
            if case .success(true) = result { end.accept() } else { end.refuse() }
        }
    }
}

/// The end of a stream that asks for a sign of life.
private final class LifeAnswer: StreamEnd {
    private let session: SessionLoop
    private let id: StreamID
    private var isClosed = false

    init(_ session: SessionLoop, _ id: StreamID) {
        (self.session, self.id) = (session, id)
    }

    func accept() {
        guard !isClosed else { return }
        session.run(.accept(id))
        session.run(.finished(id))
    }

    func refuse() {
        if !isClosed { session.run(.reset(id, .moved)) }
    }

    var isPending: Bool { false }
    var isConnecting: Bool { true }
    func begin(_ id: StreamID) {}
    func accepted() {}

    func deliver(_ bytes: ByteBuffer) -> Bool {
        session.run(.taken(id, bytes.readableBytes))
        return false
    }

    func endOutput() -> Bool { false }
    func flush() {}
    func pauseReading() {}
    func resumeReading() {}
    func detach() { isClosed = true }
    func reset(_ code: ResetCode) { isClosed = true }
    func abort(_ code: ResetCode) { isClosed = true }
}

/// The receiver of a relayed carrier until its session has it, which is at once.
private final class RelayedCarrierReceiver: CarrierReceiver {
    func carrier(received frame: InboundFrame) {}
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrier(violatedBy error: MuxError) {}
    func carrierLost(_ loss: CarrierLoss) {}
}
