import Logging
import Mux
import NIOCore
import NIOPosix
import NIOSSL
import ProxyConnect
import TunnelCore
import WebSocket

/// Makes one session: dials, by way of the proxy where there is one, and authenticates.
struct Dialler: Sendable {
    /// Connections that one proxy exchange may take: each scheme needs few legs.
    static let maximumLegs = 8

    let configuration: ClientConfiguration
    let credentials: Credentials
    let loop: any EventLoop
    let context: DialContext
    /// What has been carried since the client started.
    let totals: TrafficTotals
    let memory: MemoryBudget
    /// What the operator is told of the run.
    let progress: ClientProgress
    /// The waits between dials.
    let waits = DialWaits()

    var logger: Logger { context.logger }

    /// Dials `endpoint` by one way, and gives the carrier to a session or begins one.
    ///
    /// - Parameters:
    ///   - session: the one that wants a carrier; nil to begin one.
    ///   - withholdsCredentials: tells the proxy no password, whatever it asks for.
    /// - Returns: the session; another one where the server does not know it any more.
    /// - Throws: ``DialError``. Where the session has a carrier, it goes on with that.
    func dial(
        _ endpoint: EndpointURL,
        _ choice: ProxyChoice,
        for session: ClientSessionHandle? = nil,
        withholdsCredentials: Bool = false,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> ClientSessionHandle {
        let route = DialRoute(
            endpoint,
            choice,
            configuration,
            context,
            withholdsCredentials: withholdsCredentials
        )
        var failure: DialError?
        while true {
            do throws(DialError) {
                let next = try await dial(route, for: session, onBound: onBound)
                route.turn.succeeded()
                return next
            } catch {
                // An answer that all addresses would give ends the turn.
                guard error.mayDifferElsewhere else { throw error }
                let told = error.moreTelling(than: failure)
                guard route.turn.failed(), !Task.isCancelled else { throw told }
                logger.warning("\(error); trying another address of the same name")
                failure = told
            }
        }
    }

    /// Dials to one address, or to the first of several that connects.
    private func dial(
        _ route: DialRoute,
        for session: ClientSessionHandle?,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> ClientSessionHandle {
        let opening = ClientHandshake(
            credentials: credentials,
            authentication: Authentication(
                id: credentials.id,
                nonce: SecureRandom.bytes(32),
                instance: configuration.instance,
                name: configuration.name,
                authority: route.endpoint.authority,
                initialWindow: UInt32(clamping: configuration.limits.initialWindow),
                software: softwareName,
                streams: UInt32(clamping: configuration.limits.streams),
                opening: UInt32(clamping: configuration.limits.opening)
            )
        )
        let attempt: DialAttempt
        do {
            attempt = try await loop.submit {
                DialAttempt(
                    loop: loop,
                    opening: opening,
                    for: session,
                    mayBegin: session?.withoutCarrierSince != nil || session == nil
                ) { outcome, carrier in
                    switch outcome {
                    case .begins(let grant):
                        route.keep(ticket: grant.welcome.ticket)
                        session?.forget()
                        return ClientSessionHandle(grant, carrier, route, self, onBound: onBound)
                    case .resumes(let received, let ticket):
                        route.keep(ticket: ticket)
                        guard let session else { throw CarrierLoss(description: "there is no session") }
                        session.goOn(carrier, route, peerReceived: received)
                        return session
                    }
                }
            }.get()
        } catch {
            throw route.error(.connect, error.userDescription, "", .retry)
        }
        // A dial that fails leaves nobody waiting for its grant.
        defer { attempt.outcome.fail(CarrierLoss(description: "the dial has failed")) }
        let result: Result<ClientSessionHandle, DialError> = await withTaskCancellationHandler {
            do throws(DialError) {
                return .success(try await dial(route, attempt))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            attempt.cancel()
        }
        if case .failure = result { session?.goOnAsBefore() }
        return try result.get()
    }

    /// Connects, anew for each leg of the proxy's exchange that wants it, and authenticates.
    private func dial(_ route: DialRoute, _ attempt: DialAttempt) async throws(DialError) -> ClientSessionHandle {
        var leg = try route.firstLeg()
        for number in 0..<Self.maximumLegs {
            do {
                route.turn.begin(again: number > 0)
                try await connect(route, leg, attempt)
                return try await authenticate(route, attempt)
            } catch let redial as DialHandler.Redial {
                leg = .connectAgain(redial.exchange, redial.request, deadline: redial.deadline)
            } catch let error as DialError {
                throw error
            } catch {
                throw route.error(.connect, error.userDescription, "", .retry)
            }
        }
        throw route.error(.proxy, "closes the connection after each of its answers", "ask who runs the proxy", .retry)
    }

    /// TCP, and all stages up to the carrier.
    private func connect(_ route: DialRoute, _ leg: DialLeg, _ attempt: DialAttempt) async throws {
        let upgraded = loop.makePromise(of: Void.self)
        guard attempt.begin(upgraded) else { throw CancellationError() }
        let host = route.proxy?.host ?? route.target.host
        let port = route.proxy?.port ?? route.target.port
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(route.hopTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.carrier(channel)
                    attempt.opened(channel)
                    let handler = DialHandler(route: route, leg: leg, promise: upgraded) { channel, agreement in
                        let greeting = attempt.greeting.value
                        let carrier = Carrier(
                            role: .client,
                            limits: configuration.clientLimits.carrier,
                            deflate: agreement.deflate,
                            receiver: greeting
                        )
                        greeting.start(carrier)
                        try channel.pipeline.syncOperations.addHandler(carrier)
                        attempt.carrier.value = carrier
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        let turn = route.turn
        let resolver = HostResolver(context.names, for: .carrier, on: loop) { turn.choose(among: $0) }
        bootstrap.resolver(resolver).connect(host: host, port: port).whenFailure { error in
            upgraded.fail(route.connectError(error, host: host, port: port))
        }
        try await upgraded.futureResult.get()
    }

    /// The opening exchange, and the session that comes out of it.
    private func authenticate(_ route: DialRoute, _ attempt: DialAttempt) async throws(DialError) -> ClientSessionHandle
    {
        let timeout = loop.scheduleTask(in: route.hopTimeout) {
            attempt.carrier.value?.abort("no answer within \(route.hopSeconds) s")
        }
        defer { timeout.cancel() }
        do {
            return try await attempt.session.get()
        } catch {
            throw route.sessionError(error)
        }
    }
}

extension DialRoute {
    /// Tells a failed lookup from a failed connection.
    func connectError(_ error: any Error, host: String, port: Int) -> DialError {
        let what = proxy == nil ? "server" : "proxy"
        if case .connectTimeout? = error as? ChannelError {
            let remedy =
                proxy == nil && !isLoopback(host)
                ? "if this network wants a proxy, give it with --proxy" : "check the address and the network"
            guard turn.isLookedUp else {
                return self.error(.lookup, "no answer about the name \(host) within \(hopSeconds) s", remedy, .retry)
            }
            let answer = "no connection for \(host):\(port) within \(hopSeconds) s"
            return self.error(.connect, answer, remedy, .retry, at: turn.offered)
        }
        guard let failure = error as? NIOConnectionError else {
            return self.error(
                .connect,
                "\(host):\(port): \(error.userDescription)",
                "check the address of the \(what)",
                .retry
            )
        }
        guard let first = failure.connectionErrors.first else {
            let remedy =
                proxy == nil
                ? "check the name; if only the proxy can resolve it, give the proxy with --proxy"
                : "check the proxy's name"
            let answer = (failure.nameFailure ?? .notFound).sentence(about: host)
            return self.error(.lookup, answer, remedy, .retry)
        }
        let places = failure.connectionErrors.map(\.target)
        if case .connectTimeout? = first.error as? ChannelError {
            return self.error(
                .connect,
                "\(host):\(port) did not answer within \(hopSeconds) s",
                "check the network",
                .retry,
                at: places
            )
        }
        guard let io = first.error as? IOError else {
            return self.error(.connect, "\(host):\(port): \(first.error.userDescription)", "", .retry, at: places)
        }
        switch SocketFailure(io) {
        case .refused:
            return self.error(
                .connect,
                "\(host):\(port) refused the connection",
                "check that the \(what) runs",
                .retry,
                at: places
            )
        case .unreachable:
            return self.error(.connect, "no way to \(host):\(port)", "check the network", .retry, at: places)
        default:
            return self.error(.connect, "\(host):\(port): \(io.userDescription)", "", .retry, at: places)
        }
    }

    func sessionError(_ error: any Error) -> DialError {
        switch error {
        case let error as DialError:
            return error
        case let refusal as Refusal:
            let isSecret = refusal.code == .credentials
            let disposition: DialError.Disposition =
                isSecret ? .refused : refusal.code == .version || refusal.code == .protocolViolation ? .notOurs : .retry
            var remedy = ""
            if isSecret {
                remedy =
                    configuration.token == nil
                    ? "this server wants a token: give --token-file" : "compare --token-file with the server's"
            }
            var result = self.error(.session, "the server refused: \(refusal)", remedy, disposition)
            result.retryAfter = refusal.retryAfter.map { Int(clamping: $0) }
            result.isFinal = true
            return result
        case let error as MuxError where error.kind == .proof:
            let remedy = "compare --token-file with the server's; nothing was sent that could be used elsewhere"
            return self.error(.session, error.detail, remedy, .refused)
        case let error as MuxError where error.kind == .version:
            return self.error(.session, error.detail, "", .notOurs)
        case let error as MuxError:
            return self.error(.session, "the server does not speak our protocol (\(error))", "check the URL", .notOurs)
        case let loss as CarrierLoss:
            let disposition: DialError.Disposition = loss.isProtocolViolation ? .notOursAtFirst : .retry
            return self.error(.session, loss.description, "", disposition)
        default:
            return self.error(.session, error.userDescription, "", .retry)
        }
    }
}
