import Logging
import Mux
import NIOCore
import NIOPosix
import NetworkAddress
import ProxyConnect
import TunnelCore
import WebSocket

/// Dials servers, and begins or resumes sessions there.
struct Dialler: SessionDialler {
    /// Connections that one exchange with a proxy may take. Each scheme needs few legs.
    static let maximumLegs = 8

    let configuration: ClientConfiguration
    let credentials: ClientCredentials
    let loop: any EventLoop
    let context: DialContext
    /// The bytes and streams since the client started.
    let totals: TrafficTotals
    let memory: MemoryBudget
    /// The state of the run, for the operator.
    let progress: ClientProgress
    let tunnels: TunnelSet
    let listeners: NIOLoopBound<ForwardListeners>
    let openRules: OpenRules
    /// The part of this dialler's sessions, if the client has several at a time.
    var part: SessionPart?

    var logger: Logger { context.logger }

    func dial(
        _ way: DialWay,
        for session: ClientSessionHandle?,
        withholdsCredentials: Bool,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> ClientSessionHandle {
        let route = DialRoute(way, configuration, context, withholdsCredentials: withholdsCredentials)
        let purpose = session.map(DialPurpose.resume) ?? .begin
        return try await dial(route, for: purpose, onBound: onBound)
    }

    /// Dials a carrier for a lane beside the session's others.
    private func dial(
        _ way: DialWay,
        for session: ClientSessionHandle,
        lane: LaneID,
        addresses preference: AddressRotation.Preference
    ) async throws(DialError) {
        let route = DialRoute(way, configuration, context, addresses: preference)
        _ = try await dial(route, for: .lane(session, lane)) { _, _ in }
    }

    /// Dials a carrier for a lane by the way that it should take.
    ///
    /// - Returns: the failure; nil if the lane has the carrier.
    func dial(_ lane: LaneID, of session: ClientSessionHandle, over ways: LaneWays) async -> DialError? {
        let endpoint = ways.endpoint
        let proxies = (try? await configuration.proxies(endpoint)) ?? []
        let (way, addresses) = ways.way(of: lane, proxies)
        do throws(DialError) {
            try await dial(way, for: session, lane: lane, addresses: addresses)
            return nil
        } catch {
            return error
        }
    }

    private func dial(
        _ route: DialRoute,
        for purpose: DialPurpose,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> ClientSessionHandle {
        var failure: DialError?
        while true {
            do throws(DialError) {
                let next = try await dialOnce(route, for: purpose, onBound: onBound)
                route.rotation.succeeded()
                return next
            } catch {
                // All addresses would give this answer.
                guard error.mayDifferElsewhere else { throw error }
                let reported = error.moreInformative(than: failure)
                guard route.rotation.failed(isSuspect: !error.isServerInUse), !Task.isCancelled else { throw reported }
                if !error.isServerInUse { logger.warning("\(error); trying another address of the same name") }
                failure = reported
            }
        }
    }

    /// Dials one address, or the first of several that is connected.
    private func dialOnce(
        _ route: DialRoute,
        for purpose: DialPurpose,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> ClientSessionHandle {
        let attempt: DialAttempt
        do {
            attempt = try await loop.submit { self.attempt(route, for: purpose, onBound: onBound) }.get()
        } catch {
            throw route.error(.connect(.local(error.userDescription)))
        }
        // A dial that has failed needs no outcome any more, and its promise must not leak.
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
        if case .failure = result, case .resume(let session) = purpose { session.keepCarrier() }
        return try result.get()
    }

    /// The attempt, on the event loop.
    private func attempt(
        _ route: DialRoute,
        for purpose: DialPurpose,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) -> DialAttempt {
        DialAttempt(loop: loop, handshake: handshake(route), for: purpose) { outcome, carrier in
            switch outcome {
            case .begins(let grant):
                guard part?.takes(grant.welcome.session, at: route.endpoint) ?? true else {
                    refuse(grant, carrier, "the client has another session at this server")
                    throw route.serverInUse
                }
                if let key = grant.serverKey,
                    !context.serverKeys.learn(key, of: route.knownAs, logger: logger)
                {
                    refuse(grant, carrier, "the client knows another key of this server")
                    throw ClientCarrierHandshake.WrongKey(key: key)
                }
                route.keep(ticket: grant.welcome.ticket)
                purpose.session?.forget()
                route.hops.passed(.session(software: grant.software, key: grant.serverKey, isResumed: false))
                return ClientSessionHandle(grant, carrier, route, self, onBound: onBound)
            case .resumes(let received, let ticket):
                route.keep(ticket: ticket)
                guard let session = purpose.session else { throw CarrierLoss(description: "there is no session") }
                route.hops.passed(.session(software: "", key: nil, isResumed: true))
                switch purpose {
                case .lane(_, let lane): session.attach(carrier, to: lane, route, peerReceived: received)
                case .begin, .resume: session.resume(carrier, route, peerReceived: received)
                }
                return session
            }
        }
    }

    /// Ends a session that has just begun.
    private func refuse(_ grant: ClientHandshake.Grant, _ carrier: Carrier, _ reason: String) {
        var session = Mux.Session(
            role: .client,
            limits: configuration.limits,
            peerWindow: grant.welcome.initialWindow,
            peerAccepts: (grant.welcome.streams, grant.welcome.opening),
            seed: SecureRandom.seed(),
            now: .now
        )
        carrier.send(session.end(Refusal(.goingAway, reason)))
        carrier.close(.goingAway, reason: reason)
    }

    private func handshake(_ route: DialRoute) -> ClientHandshake {
        let credentials = credentials.present
        return ClientHandshake(
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
            ),
            encryption: route.encryption
        )
    }

    /// Connects, anew for each leg of the proxy's exchange that needs it, and authenticates.
    private func dial(_ route: DialRoute, _ attempt: DialAttempt) async throws(DialError) -> ClientSessionHandle {
        var steps = try route.steps()
        var deadline: NIODeadline?
        for number in 0..<Self.maximumLegs {
            do {
                route.rotation.begin(again: number > 0)
                route.hops.begin()
                try await connect(route, steps, deadline, attempt)
                return try await authenticate(route, attempt)
            } catch let redial as DialHandler.Redial {
                (steps, deadline) = (redial.steps, redial.deadline)
            } catch let error as DialError {
                throw error
            } catch {
                throw route.error(.connect(.local(error.userDescription)))
            }
        }
        throw route.error(.proxy(.tooManyConnections))
    }

    /// Connects, and performs the steps up to the carrier.
    private func connect(
        _ route: DialRoute,
        _ steps: DialSteps,
        _ deadline: NIODeadline?,
        _ attempt: DialAttempt
    ) async throws {
        let upgraded = loop.makePromise(of: Void.self)
        guard attempt.begin(upgraded) else { throw CancellationError() }
        let (host, port) = route.dialled
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(route.hopTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.carrier(channel)
                    attempt.opened(channel)
                    let handler = DialHandler(
                        route: route,
                        steps: steps,
                        exchangeDeadline: deadline,
                        promise: upgraded
                    ) { channel, agreement in
                        let handshake = attempt.handshake.value
                        let carrier = Carrier(
                            role: .client,
                            limits: configuration.clientLimits.carrier,
                            deflate: agreement.deflate,
                            trace: FrameTrace(logger),
                            receiver: handshake
                        )
                        handshake.start(carrier)
                        try channel.pipeline.syncOperations.addHandler(carrier)
                        attempt.carrier.value = carrier
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        let (rotation, hops) = (route.rotation, route.hops)
        let resolver = HostResolver(context.names, for: .carrier, on: loop) { addresses in
            if IPAddress(host) == nil {
                hops.passed(.lookedUp(name: host, addresses: addresses.compactMap { $0.ip?.description }))
            }
            return rotation.choose(among: addresses)
        }
        bootstrap.resolver(resolver).connect(host: host, port: port).whenFailure { error in
            upgraded.fail(route.error(.connect(ConnectFailure(error, offered: rotation.offered))))
        }
        try await upgraded.futureResult.get()
    }

    /// Authenticates, and returns the session that begins or continues.
    private func authenticate(_ route: DialRoute, _ attempt: DialAttempt) async throws(DialError) -> ClientSessionHandle
    {
        let timeout = loop.scheduleTask(in: route.hopTimeout) {
            attempt.carrier.value?.abort("no answer within \(route.hopSeconds) s")
        }
        defer { timeout.cancel() }
        do {
            return try await attempt.session.get()
        } catch {
            context.alterations.note(error, logger: logger)
            throw error as? DialError ?? route.error(.session(SessionFailure(error)))
        }
    }
}
