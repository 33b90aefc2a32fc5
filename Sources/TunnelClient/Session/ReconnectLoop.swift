import Logging
import Mux
import TunnelCore

/// Keeps a client connected: dials until there is a session, gives it one carrier after another, and begins the next
/// session when it ends.
///
/// ```
///   begin ──── a session ────▶ serve ◀── carrier lost, or to be renewed: dial, then resume ──┐
///     ▲                          │  └─────────────────────────────────────────────────────────┘
///     └─ wait ◀── session over ──┘
/// ```
///
/// If the server is stopping, the next session is dialled while the streams of the first one end.
struct ReconnectLoop<Dialler: SessionDialler> {
    private typealias Session = Dialler.Session

    /// The continuation after a session.
    private enum Next {
        /// Another session, which has already begun.
        case session(Dialler.Session)
        /// Another session, which is to be dialled.
        case dial(after: ClientSessionEnd)
        /// None: the task was cancelled.
        case nothing
    }

    private let dialler: Dialler
    private let configuration: ClientConfiguration
    private let waits: DialWaits
    private let metrics: ClientMetrics
    private let time: ReconnectTime
    private let avoided: @Sendable () -> Set<EndpointURL>
    private let onEvent: @Sendable (Client.Event) -> Void
    private var policy: RetryPolicy
    private var plan = DialPlan()
    private var path: PathProfile
    private var report: ReconnectReport
    /// The waits between dials beside a session whose server is stopping. They decide nothing about the run.
    private var successor = Backoff()
    /// The number of the reminder that is valid; others are late.
    private var reminder = 0

    /// - Parameters:
    ///   - waits: the waits between dials, which the operator may end.
    ///   - progress: the state of the run, for the operator.
    ///   - avoided: returns the endpoints of the client's other sessions.
    init(
        dialler: Dialler,
        configuration: ClientConfiguration,
        waits: DialWaits,
        progress: ClientProgress,
        metrics: ClientMetrics = ClientMetrics(),
        time: ReconnectTime = ReconnectTime(),
        avoided: @escaping @Sendable () -> Set<EndpointURL> = { [] },
        logger: Logger,
        onEvent: @escaping @Sendable (Client.Event) -> Void
    ) {
        self.dialler = dialler
        self.configuration = configuration
        self.waits = waits
        self.metrics = metrics
        self.time = time
        self.avoided = avoided
        self.onEvent = onEvent
        report = ReconnectReport(progress, logger)
        policy = RetryPolicy(configuration)
        path = PathProfile(maximumAge: configuration.maximumCarrierAge)
    }

    /// Returns when its task is cancelled, or when the client is stopping and its session is over.
    ///
    /// - Parameter hold: receives each session, and nil at its end; returns false if the client is stopping.
    /// - Throws: ``ClientError`` if the run ends for good.
    mutating func run(_ hold: @Sendable (Dialler.Session?) -> Bool) async throws {
        var present: Session?
        while !Task.isCancelled {
            var session = present
            if session == nil { session = try await begin() }
            present = nil
            guard let session else { return }
            if !hold(session) { session.end() }
            switch try await serve(session) {
            case .session(let next):
                present = next
            case .dial(let end):
                guard hold(nil) else { return }
                await wait(try waitAfter(end))
            case .nothing:
                return
            }
        }
    }

    // MARK: Sessions

    /// Dials until there is a session.
    ///
    /// - Returns: nil if the task was cancelled.
    private mutating func begin() async throws -> Session? {
        while !Task.isCancelled {
            do throws(DialError) {
                return try await dial(for: nil)
            } catch {
                guard !Task.isCancelled else { return nil }
                await wait(try waitAfter(error, hasSession: false))
            }
        }
        return nil
    }

    /// Waits before the next dial. If the operator ends the wait, proxies that refused the credentials are tried too.
    private mutating func wait(_ time: Duration) async {
        if await waits.sleep(for: time) { plan.forgetRefusals() }
    }

    /// Keeps a session on carriers until it is over.
    private mutating func serve(_ session: Session) async throws -> Next {
        maintain(session)
        var isLeaving = false
        for await signal in session.signals {
            var next: Session? = session
            switch signal {
            case .ended(let end):
                return .dial(after: end)
            case .lost(let lost, let carrier) where carrier == session.carrier:
                remind(session, in: try waitAfter(lost))
                maintain(session)
            case .lostLane(let lost):
                guard let lesson = path.lost(age: lost.age, idle: lost.idle) else { break }
                report.learnt(lesson, path)
                maintain(session)
            case .renewal(let why, let carrier) where carrier == session.carrier && session.hasCarrier:
                report.renewing(why)
                next = try await dialAgain(session)
            case .renewal(_, let carrier) where carrier == session.carrier:
                // There is no carrier, and the wait for the next dial ends.
                reminder += 1
                plan.forgetRefusals()
                next = try await dialAgain(session)
            case .goingAway(let pause) where configuration.hasSuccessors:
                isLeaving = true
                let pause = pause.map { Duration.seconds(Int64($0)) }
                remind(session, in: successor.lost(held: .zero, unit: time.random(), pause: pause, now: time.now()))
            case .reminder(reminder) where isLeaving && session.hasCarrier:
                next = await succeed(session) ?? session
            case .reminder(reminder):
                next = try await dialAgain(session)
            case .goingAway:
                break
            case .lost, .renewal, .reminder:
                // The signal is about a carrier that has been replaced.
                break
            }
            if let next, next !== session { return .session(next) }
        }
        return .nothing
    }

    /// Begins the next session beside one whose server is stopping. If that fails, the present session goes on.
    ///
    /// - Returns: nil if there is none yet.
    private mutating func succeed(_ session: Session) async -> Session? {
        guard !session.isOver else { return nil }
        do throws(DialError) {
            let next = try await dial(for: nil)
            report.succeeded()
            return next
        } catch {
            guard !Task.isCancelled else { return nil }
            let pause = error.retryAfter.map { Duration.seconds($0) }
            let wait = successor.failed(unit: time.random(), pause: pause, now: time.now())
            report.staying(error, next: wait)
            remind(session, in: wait)
            return nil
        }
    }

    private mutating func remind(_ session: Session, in wait: Duration) {
        reminder += 1
        session.remind(reminder, in: wait)
    }

    /// Dials a carrier for a session that has lost its own, or that is about to replace it.
    ///
    /// - Returns: the session that has the carrier, another one if the server does not know the first; nil if none has.
    private mutating func dialAgain(_ session: Session) async throws -> Session? {
        guard !session.isOver else { return nil }
        let isRenewal = session.hasCarrier
        do throws(DialError) {
            let next = try await dial(for: session)
            if next === session {
                maintain(session)
            } else {
                report.forgotten()
            }
            return next
        } catch {
            guard !Task.isCancelled else { return nil }
            if isRenewal {
                renewalFailed(error, session)
            } else {
                remind(session, in: try waitAfter(error, hasSession: true))
            }
            return nil
        }
    }

    /// Gives the session what is known of the path.
    private func maintain(_ session: Session) {
        metrics.setPingInterval(path.pingInterval ?? configuration.limits.pingInterval)
        session.maintain(pingInterval: path.pingInterval, renewal: path.renewal(unit: time.random()))
    }

    // MARK: Dials

    /// Tries each way of the plan, in its order.
    private mutating func dial(for session: Session?) async throws(DialError) -> Session {
        policy.dialled(now: time.now())
        waits.dialling()
        report.dialling()
        let sole = session.flatMap { plan.soleEndpoint(withoutCarrierFor: timeWithoutCarrier($0)) }
        let ways = try await plan.ways(configuration, avoiding: avoided())
        var round = DialRound(ways.filter { sole == nil || $0.endpoint == sole })
        while let attempt = round.next({ plan.permission(for: $0, configuration, now: time.now()) }) {
            if let failure = round.failure, !failure.isServerInUse { report.tryingNext(after: failure) }
            let way = attempt.way
            do throws(DialError) {
                let next = try await dialler.dial(
                    way,
                    for: session,
                    withholdsCredentials: attempt.withheld != nil
                ) { [onEvent] tunnel, binding in
                    onEvent(.tunnel(url: binding.url(way.endpoint, tunnel.transport), service: tunnel.service))
                }
                plan.worked(way)
                policy.worked()
                report.connected(way)
                return next
            } catch {
                try round.failed(attempt, error, hasWorked: policy.hasWorked)
                if error.isPasswordRefusal { plan.refused(way, error, configuration, now: time.now()) }
            }
        }
        throw round.error
    }

    private func timeWithoutCarrier(_ session: Session) -> Duration {
        session.withoutCarrierSince.map { time.now().since($0) } ?? .zero
    }

    // MARK: Failures

    private mutating func waitAfter(_ lost: LostCarrier) throws(ClientError) -> Duration {
        let wait = try policy.lost(lost, unit: time.random(), now: time.now())
        if let lesson = path.lost(age: lost.age, idle: lost.idle) { report.learnt(lesson, path) }
        report.lost(lost, next: wait)
        return wait
    }

    private mutating func waitAfter(_ end: ClientSessionEnd) throws(ClientError) -> Duration {
        let wait = try policy.ended(end, unit: time.random(), now: time.now())
        report.ended(end, next: wait)
        return wait
    }

    private mutating func waitAfter(_ error: DialError, hasSession: Bool) throws(ClientError) -> Duration {
        if !error.isServerInUse { metrics.failedDial(error.hop) }
        let wait = try policy.failed(error, hasSession: hasSession, unit: time.random(), now: time.now())
        report.failed(error, next: wait)
        return wait
    }

    /// Dials again later while the present carrier lives, unless the server has refused the client.
    private mutating func renewalFailed(_ error: DialError, _ session: Session) {
        metrics.failedDial(error.hop)
        let wait = policy.renewalFailed(error, unit: time.random(), now: time.now())
        report.renewalFailed(error, next: wait)
        if let wait { remind(session, in: wait) }
    }
}

extension DialledSession {
    /// Whether there is a carrier.
    fileprivate var hasCarrier: Bool { withoutCarrierSince == nil }
}

extension ClientConfiguration {
    /// Whether another session may begin beside one whose server is stopping. A run that ends with its session needs none, and
    /// the stream of a socket is in the first.
    fileprivate var hasSuccessors: Bool { maximumRetries != 0 && socketForward == nil }
}
