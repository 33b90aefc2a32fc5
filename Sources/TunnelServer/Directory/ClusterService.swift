import Cluster
import Logging
import Mux
import NIOCore
import TunnelCore

/// Drives a server's ``ClusterNode``: sends its requests to the store, keeps its watches, links and ports, and answers the
/// sessions that want claims.
///
/// Its state lives on one event loop.
final class ClusterService: ClusterDirectory {
    let id: ServerID
    let loop: any EventLoop
    private let store: any ClaimStore
    let ports: RemotePorts
    let metrics: ClusterMetrics
    /// The tunnel of a session of this server.
    let ownMember: @Sendable (Claim) -> RouteMember?
    private let logger: Logger
    let state: NIOLoopBoundBox<State>
    private let healths = PeerHealths()

    /// Time for which a stop waits for the store. 2 s: a request takes as long at most, and the leases end by themselves.
    static let stopTimeout = TimeAmount.seconds(2)

    /// A session that wants or has a claim.
    struct Claimant {
        let key: ClaimKey
        let place: String
        let onLoss: @Sendable (Refusal) -> Void
        let completion: @Sendable (Result<ClaimTicket, Refusal>) -> Void
    }

    struct State {
        var node: ClusterNode
        let links: PeerLinks
        var store = StoreHealth(now: WallClock.unixSeconds)
        /// Visitors that wait for the home of a name.
        var lookups: [ClusterNode.LookupID: EventLoopPromise<[HeldClaim]?>] = [:]
        var claimants: [ClusterNode.ClaimID: Claimant] = [:]
        var watches: [StoreScope: Task<Void, Never>] = [:]
        var timer: Scheduled<Void>?
        var isStopped = false

        /// The link to a server; nil if it is not known. A server whose lease has ended is reached by a link that lives.
        func link(to server: ServerID) -> PeerLink? {
            if let record = node.servers[server] { return links.link(to: record) }
            return links.known(server).flatMap { $0.isOpen ? $0 : nil }
        }
    }

    init(
        _ record: ServerRecord,
        _ setup: ClusterSetup,
        ports: RemotePorts,
        ownMember: @escaping @Sendable (Claim) -> RouteMember?,
        totals: TrafficTotals,
        metrics: ClusterMetrics,
        on loop: any EventLoop,
        logger: Logger
    ) {
        (id, self.loop, store, self.ports) = (record.id, loop, setup.store, ports)
        (self.ownMember, self.metrics, self.logger) = (ownMember, metrics, logger)
        let links = PeerLinks(
            setup.dialler,
            healths,
            totals: totals,
            metrics: metrics,
            times: setup.linkTimes,
            on: loop,
            logger: logger
        )
        state = NIOLoopBoundBox.makeBoxSendingValue(
            State(node: ClusterNode(record, limits: setup.limits), links: links),
            eventLoop: loop
        )
    }

    // MARK: Life

    /// Joins the cluster.
    ///
    /// - Parameter url: where other servers reach this one.
    func start(at url: String) {
        run { state in
            state.links.onChange = { [weak self] server, isUp in
                self?.run { $0.node.link(to: server, isUp: isUp, now: .now) }
            }
            return state.node.start(at: url, now: .now)
        }
    }

    /// Announces that this server accepts no further session.
    func drain() {
        run { $0.node.drain(now: .now) }
    }

    /// Sends clients to other servers whose sessions are elsewhere.
    func releaseCarriers() {
        loop.execute { [state] in state.value.links.releaseCarriers() }
    }

    /// Gives back the claims of all sessions, so that their clients may have them at other servers at once.
    func giveBack() {
        run { $0.node.giveBackAll(now: .now) }
    }

    /// Closes the ports of other servers' sessions.
    ///
    /// - Returns: done once their visitors have left, or if the task is cancelled.
    func finishVisitors() async {
        let idle = loop.makePromise(of: Void.self)
        loop.execute { [state, ports] in
            ports.closeAll()
            state.value.links.whenIdle { idle.succeed() }
        }
        await withTaskCancellationHandler {
            try? await idle.futureResult.get()
        } onCancel: {
            idle.succeed()
        }
    }

    /// Leaves the cluster.
    ///
    /// - Returns: done once the store has removed the server's entries, or has not answered in time.
    func stop() async {
        let requests: [StoreRequest] =
            (try? await loop.submit { [state, ports] in
                state.value.isStopped = true
                state.value.timer?.cancel()
                for watch in state.value.watches.values { watch.cancel() }
                for lookup in state.value.lookups.values { lookup.succeed(nil) }
                state.value.lookups = [:]
                state.value.watches = [:]
                state.value.links.closeAll()
                ports.closeAll()
                return state.value.node.stop(now: .now).compactMap { action in
                    if case .request(_, let request) = action { request } else { nil }
                }
            }.get()) ?? []
        await perform(requests, within: Self.stopTimeout)
    }

    /// Performs requests together, and waits for them up to a time.
    private func perform(_ requests: [StoreRequest], within time: TimeAmount) async {
        let done = loop.makePromise(of: Void.self)
        let performing = Task { [store] in
            await withTaskGroup(of: Void.self) { tasks in
                for request in requests { tasks.addTask { _ = await store.perform(request) } }
            }
            done.succeed()
        }
        let timer = loop.scheduleTask(in: time) { done.succeed() }
        try? await done.futureResult.get()
        timer.cancel()
        performing.cancel()
    }

    // MARK: Claims

    func claim(
        _ wish: ClaimWish,
        onLoss: @escaping @Sendable (Refusal) -> Void,
        completion: @escaping @Sendable (Result<ClaimTicket, Refusal>) -> Void
    ) {
        run { [id] state in
            let claim = Claim(
                wish.key,
                home: id,
                session: wish.session,
                tunnel: wish.tunnel,
                client: wish.client,
                since: WallClock.unixSeconds
            )
            let (number, actions) = state.node.want(claim, now: .now)
            state.claimants[number] = Claimant(
                key: wish.key,
                place: wish.description,
                onLoss: onLoss,
                completion: completion
            )
            return actions
        }
    }

    func yield(_ port: PublicPlace, on loop: any EventLoop) -> EventLoopFuture<Void> { ports.yield(port, on: loop) }

    func share(_ port: PublicPlace) -> Bool { ports.share(port) }

    func unshare(_ port: PublicPlace) { ports.unshare(port) }

    func restore(_ port: PublicPlace) { ports.restore(port) }

    func home(
        of name: String,
        _ destination: PeerDestination,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameHome> {
        let place = ClaimPlace.name(name)
        let promise = self.loop.makePromise(of: [HeldClaim]?.self)
        self.loop.execute { [self] in
            guard !state.value.isStopped else { return promise.succeed(nil) }
            let (lookup, actions) = state.value.node.find(place, now: .now)
            switch lookup {
            case .known(let claims): promise.succeed(claims)
            case .asked(let number): state.value.lookups[number] = promise
            case .full: promise.succeed(nil)
            }
            for action in actions { perform(action) }
            setTimer()
        }
        return promise.futureResult.map { [self] claims in
            guard let claims else { return .unknown }
            let homes = Set(claims.map(\.claim.home)).subtracting([id])
            guard !homes.isEmpty else { return .nowhere }
            let members = homes.map { home in
                relay(destination, to: home) { [weak self] in
                    self?.run { state in
                        state.node.moved(place)
                        return []
                    }
                }
            }
            let route = Route(NamePlace(elsewhere: name), members, keepsVisitors: true) { [weak self] loop in
                self?.home(of: name, destination, on: loop).map(\.route) ?? loop.makeSucceededFuture(nil)
            }
            return .elsewhere(route)
        }
        .hop(to: loop)
    }

    func relay(_ destination: PeerDestination, to home: ServerID) -> RouteMember {
        relay(destination, to: home) {}
    }

    /// - Parameter onMoved: called if the home does not have what is asked for.
    func relay(
        _ destination: PeerDestination,
        to home: ServerID,
        tunnel: UInt16 = 0,
        of owner: String = "",
        onMoved: @escaping @Sendable () -> Void
    ) -> RouteMember {
        RouteMember(tunnel, of: owner, at: PeerHealth(home, in: healths), on: loop) { [self] visitor, ends, onEnd in
            loop.execute { [self] in
                guard !state.value.isStopped, let link = state.value.link(to: home) else {
                    onEnd()
                    return ends.visitor.send { $0.failed(.unavailable) }
                }
                link.open(destination, visitor, ends, onMoved: onMoved, onEnd: onEnd)
            }
        }
    }

    func taken(_ key: ClaimKey) {
        run { $0.node.taken(key, now: .now) }
    }

    func drop(_ ticket: ClaimTicket) {
        run { state in
            state.claimants[ticket.id] = nil
            return state.node.drop(ticket.id, now: .now)
        }
    }

    // MARK: The node

    /// Gives the node an event on the event loop, and performs what follows.
    private func run(_ body: @escaping @Sendable (inout State) -> [ClusterNode.Action]) {
        loop.execute { [self] in
            guard !state.value.isStopped else { return }
            let actions = body(&state.value)
            for action in actions { perform(action) }
            setTimer()
        }
    }

    private func setTimer() {
        state.value.timer?.cancel()
        guard let deadline = state.value.node.deadline else { return }
        state.value.timer = loop.scheduleTask(deadline: .uptimeNanoseconds(deadline.nanoseconds)) { [weak self] in
            self?.run { $0.node.tick(now: .now) }
        }
    }

    private func perform(_ action: ClusterNode.Action) {
        switch action {
        case .request(let number, let request):
            metrics.asked()
            Task { [store] in
                let reply = await store.perform(request)
                run { [self] state in
                    if case .failed(let failure) = reply { note(failure, &state) } else { answered(&state) }
                    return state.node.receive(reply, to: number, now: .now)
                }
            }
        case .watch(let scope, let revision):
            watch(scope, from: revision)
        case .granted(let number):
            state.value.claimants[number]?.completion(.success(ClaimTicket(number)))
        case .refused(let number, let refusal):
            guard let claimant = state.value.claimants.removeValue(forKey: number) else { return }
            claimant.completion(.failure(Refusal(refusal, place: claimant.place, now: WallClock.unixSeconds)))
        case .lost(let number, let other):
            guard let claimant = state.value.claimants.removeValue(forKey: number) else { return }
            metrics.lostClaim()
            let text = "\(claimant.place) is held at server \(other.claim.home) now"
            // The same key is a later session's of the same process of the client.
            claimant.onLoss(Refusal(other.claim.key == claimant.key ? .replaced : .portInUse, text))
        case .probe(let number, let server, let session):
            state.value.links.link(to: server).isAlive(session) { [weak self] isAlive in
                // A busy server may still have the session. The client asks again.
                self?.run { $0.node.answered(number, isAlive: isAlive ?? true, now: .now) }
            }
        case .taken(let server, let key):
            state.value.links.link(to: server).tell(.taken(key))
        case .portChanged(let place):
            portChanged(place)
        case .found(let number, let claims):
            state.value.lookups.removeValue(forKey: number)?.succeed(claims)
        }
    }

    private func watch(_ scope: StoreScope, from revision: Revision) {
        state.value.watches[scope]?.cancel()
        state.value.watches[scope] = Task { [store] in
            var failure = StoreFailure.unreachable("the watch has ended")
            do {
                for try await event in store.watch(scope, from: revision) {
                    run { state in
                        defer { if scope == .servers { state.links.keep(state.node.servers.keys) } }
                        return state.node.receive(event, of: scope, now: .now)
                    }
                }
            } catch {
                failure = error as? StoreFailure ?? failure
            }
            guard !Task.isCancelled else { return }
            let ended = failure
            run { [self] state in
                note(ended, &state)
                return state.node.watchEnded(scope, ended, now: .now)
            }
        }
    }

    private func note(_ failure: StoreFailure, _ state: inout State) {
        metrics.storeFailed()
        logger.info("the cluster's store has failed", metadata: ["reason": "\(failure)"])
        if state.store.isUp {
            logger.warning("the cluster's store does not answer", metadata: ["reason": "\(failure)"])
        }
        state.store.failed(failure, now: WallClock.unixSeconds)
    }

    private func answered(_ state: inout State) {
        if !state.store.isUp { logger.notice("the cluster's store answers") }
        state.store.answered()
    }
}
