import Logging
import Metrics
import Mux
import TunnelCore

/// The loop of dialling, holding and dialling again: a session lives over many carriers, and when it ends another one
/// begins.
struct ReconnectLoop {
    /// How long only the session's own server is dialled after the carrier was lost, where several were named: another
    /// one would end the streams. It is as long as visitors are kept waiting.
    static let loyalty = Duration.seconds(15)
    /// The longest wish to be left alone that is obeyed while a session waits for a carrier.
    static let longestWishWithSession = Duration.seconds(3)
    private static let pingInterval = Meter(label: "culvert_ping_interval_seconds")

    /// What comes after a session.
    private enum Next {
        /// Another one, which stands already.
        case session(ClientSessionHandle)
        /// Another one, after this one's end.
        case dial(after: ClientSessionHandle.End)
        /// Nothing: the task was cancelled.
        case nothing
    }

    private let dialler: Dialler
    private let logger: Logger
    private let onEvent: @Sendable (Client.Event) -> Void
    private var backoff = Backoff()
    private var repeated = RepeatedFailure()
    private var hasWorked = false
    private var ways = DialWays()
    private var lessons: PathProfile
    /// The reminder that is waited for; others are late.
    private var reminder = 0

    init(dialler: Dialler, logger: Logger, onEvent: @escaping @Sendable (Client.Event) -> Void) {
        self.dialler = dialler
        self.logger = logger
        self.onEvent = onEvent
        lessons = PathProfile(maximumAge: dialler.configuration.maximumCarrierAge)
    }

    /// Returns when its task is cancelled, or when the client is stopping and its session is over.
    ///
    /// - Throws: ``ClientError``.
    mutating func run(_ current: CurrentSession) async throws {
        var standing: ClientSessionHandle?
        while !Task.isCancelled {
            var session = standing
            if session == nil { session = try await begin() }
            standing = nil
            guard let session else { return }
            if !current.hold(session) { session.end() }
            switch try await serve(session) {
            case .session(let next):
                standing = next
            case .dial(let end):
                guard current.hold(nil) else { return }
                await pause(for: try afterSession(end))
            case .nothing:
                return
            }
        }
    }

    // MARK: A session

    /// Dials until there is a session.
    ///
    /// - Returns: nil where the task was cancelled.
    private mutating func begin() async throws -> ClientSessionHandle? {
        while !Task.isCancelled {
            do throws(DialError) {
                return try await dial(for: nil)
            } catch {
                guard !Task.isCancelled else { return nil }
                await pause(for: try afterFailure(error))
            }
        }
        return nil
    }

    /// Waits for the next dial. An operator who ends the wait wants everything tried, refused proxies too.
    private mutating func pause(for wait: Duration) async {
        if await dialler.waits.sleep(for: wait) { ways.forgetRefusals() }
    }

    /// Keeps a session on carriers until it is over.
    private mutating func serve(_ session: ClientSessionHandle) async throws -> Next {
        keep(session)
        for await turn in session.turns {
            var next: ClientSessionHandle? = session
            switch turn {
            case .ended(let end):
                return .dial(after: end)
            case .lost(let lost, let carrier) where carrier == session.carrier:
                remind(session, in: try afterLoss(lost))
                keep(session)
            case .renewal(let why, let carrier) where carrier == session.carrier && session.hasCarrier:
                logger.info("dialling another carrier while this one lives", metadata: ["reason": "\(why)"])
                next = try await dialAgain(session)
            case .renewal(_, let carrier) where carrier == session.carrier:
                // There is none, and the wait for the next dial ends.
                reminder += 1
                ways.forgetRefusals()
                next = try await dialAgain(session)
            case .reminder(reminder):
                next = try await dialAgain(session)
            case .lost, .renewal, .reminder:
                // Of a carrier that has been replaced.
                break
            }
            if let next, next !== session { return .session(next) }
        }
        return .nothing
    }

    private mutating func remind(_ session: ClientSessionHandle, in wait: Duration) {
        reminder += 1
        session.remind(reminder, in: wait)
    }

    /// Dials a carrier for a session that has lost its own, or that is about to.
    ///
    /// - Returns: the session that has it, another one where the server does not know the first; nil where there is none.
    private mutating func dialAgain(_ session: ClientSessionHandle) async throws -> ClientSessionHandle? {
        guard !session.isOver else { return nil }
        let isRenewal = session.hasCarrier
        do throws(DialError) {
            let next = try await dial(for: session)
            if next === session {
                keep(session)
            } else {
                logger.warning("the server did not know the session any more; its streams were reset")
            }
            return next
        } catch {
            guard !Task.isCancelled else { return nil }
            if isRenewal {
                afterFailedRenewal(error, session)
            } else {
                remind(session, in: try afterFailure(error, hasSession: true))
            }
            return nil
        }
    }

    /// Tells the session what is known of the path.
    private func keep(_ session: ClientSessionHandle) {
        let ping = lessons.pingInterval ?? dialler.configuration.limits.pingInterval
        Self.pingInterval.set(ping / .seconds(1))
        session.keep(pingInterval: lessons.pingInterval, renewal: lessons.renewal(unit: .random(in: 0...1)))
    }

    // MARK: Dialling

    /// Tries every endpoint by every way, in order, but the way that worked last first of all.
    private mutating func dial(for session: ClientSessionHandle?) async throws(DialError) -> ClientSessionHandle {
        backoff.dialled(now: .now)
        dialler.waits.dialling()
        dialler.progress.dials()
        var last: DialError?
        var leftOut: DialError?
        let loyalTo = session.flatMap { $0.isLost(since: Self.loyalty) ? nil : ways.last?.endpoint }
        for way in try await ways.inOrder(dialler.configuration) where loyalTo == nil || loyalTo == way.endpoint {
            var withheld: DialError?
            switch ways.permission(for: way, dialler.configuration, now: .now) {
            case .asItIs: break
            case .withoutCredentials(let refusal): withheld = refusal
            case .notNow(let refusal):
                leftOut = refusal
                continue
            }
            if let last { logger.warning("\(last)") }
            do throws(DialError) {
                let next = try await dialler.dial(
                    way.endpoint,
                    way.choice,
                    for: session,
                    withholdsCredentials: withheld != nil
                ) { [onEvent] forward, binding in
                    onEvent(.tunnel(url: binding.url(way.endpoint), service: forward.service))
                }
                ways.worked(way)
                repeated.worked()
                hasWorked = true
                dialler.progress.connected(way.description)
                return next
            } catch {
                if let withheld, error.hop == .proxy, error.disposition == .refusedAtFirst {
                    leftOut = withheld
                    continue
                }
                // A proxy that has refused the credentials is not asked again, nor is another with the same ones:
                // accounts get locked. One without them may let us through.
                // One server may be wrong for a while where others have let this run in before.
                guard error.disposition != .refused || error.hop == .proxy || hasWorked else { throw error }
                if error.isPasswordRefusal { ways.refused(way, error, dialler.configuration, now: .now) }
                // One that may be reached later decides, whatever the others say.
                if last == nil || error.disposition == .retry || last?.disposition != .retry { last = error }
            }
        }
        guard var error = last else { throw leftOut ?? ways.nowhere }
        if let leftOut, let proxy = leftOut.proxy, error.disposition != .refused {
            error.answer += " (the proxy \(proxy) has refused the credentials and is left out for half an hour)"
        }
        throw error
    }

    // MARK: After something

    /// The session goes on as soon as there is another carrier.
    private mutating func afterLoss(_ lost: LostCarrier) throws(ClientError) -> Duration {
        guard dialler.configuration.maximumRetries != 0 else { throw .unreachable("session lost: \(lost.reason)") }
        switch lessons.lost(age: lost.age, idle: lost.idle) {
        case .idle(let idle)?:
            let ping = lessons.pingInterval ?? idle
            logger.notice(
                "the path cuts what is idle; pinging more often from now on",
                metadata: ["idle": "\(idle.inShort)", "every": "\(ping.inShort)"]
            )
        case .age(let age)?:
            let renewal = lessons.renewalAge ?? age
            logger.notice(
                "the path cuts what is old; dialling anew before that from now on",
                metadata: ["age": "\(age.inShort)", "at": "\(renewal.inShort)"]
            )
        case nil:
            break
        }
        let wait = backoff.lost(
            held: lost.age,
            unit: .random(in: 0...1),
            wish: lost.retryAfter.map { .seconds(Int64($0)) },
            now: .now
        )
        dialler.progress.failed("carrier lost: \(lost.reason)", isDown: true, next: wait)
        logger.warning(
            "carrier lost; dialling another one for the session",
            metadata: ["reason": "\(lost.reason)", "after": "\(lost.age.inShort)", "in": "\(wait.inShort)"]
        )
        return wait
    }

    private mutating func afterSession(_ end: ClientSessionHandle.End) throws(ClientError) -> Duration {
        if let refused = end.refused { throw .refused(refused) }
        backoff.sessionStood()
        guard dialler.configuration.maximumRetries != 0 else { throw .unreachable("session lost: \(end.description)") }
        let unit = Double.random(in: 0...1)
        let wait =
            end.isViolation
            ? backoff.failed(unit: unit, wish: nil, now: .now)
            : backoff.lost(
                held: end.held,
                unit: unit,
                wish: end.retryAfter.map { .seconds(Int64($0)) },
                now: .now
            )
        dialler.progress.failed("session lost: \(end.description)", isDown: true, next: wait)
        logger.warning(
            "session lost; dialling again",
            metadata: ["reason": "\(end.description)", "in": "\(wait.inShort)"]
        )
        return wait
    }

    /// There is no hurry: the present carrier serves. Where the answer was a refusal it serves to its end.
    private mutating func afterFailedRenewal(_ error: DialError, _ session: ClientSessionHandle) {
        ClientMetrics.failedDial(error.hop)
        let text = "no other carrier for now, and this one serves on"
        guard error.disposition == .retry else {
            dialler.progress.failed(error.description, isDown: false, next: nil)
            return logger.warning("\(text)", metadata: ["reason": "\(error)"])
        }
        let wait = backoff.failed(unit: .random(in: 0...1), wish: error.retryAfter.map { .seconds($0) }, now: .now)
        dialler.progress.failed(error.description, isDown: false, next: wait)
        logger.warning("\(text)", metadata: ["reason": "\(error)", "again_in": "\(wait.inShort)"])
        remind(session, in: wait)
    }

    private mutating func afterFailure(
        _ error: DialError,
        hasSession: Bool = false
    ) throws(ClientError) -> Duration {
        ClientMetrics.failedDial(error.hop)
        let isPatient = hasWorked && !dialler.configuration.exitsOnRefusal
        let unit = Double.random(in: 0...1)
        let wait: Duration
        switch error.disposition {
        case .refused where !isPatient || error.isPasswordRefusal: throw .refused(error.description)
        case .notOurs where !isPatient: throw .notOurs(error.description)
        case .refusedAtFirst where !hasWorked: throw .refused(error.description)
        case .notOursAtFirst where !hasWorked: throw .notOurs(error.description)
        case .configuration: throw .configuration(error.description)
        case .refused, .notOurs:
            wait = backoff.refused(unit: unit, now: .now)
        case .retry, .refusedAtFirst, .notOursAtFirst:
            var wish = error.retryAfter.map { Duration.seconds($0) }
            // The session's time runs out, and a front that is crowded says the same to everybody.
            if hasSession, error.waitReason == nil { wish = wish.map { min($0, Self.longestWishWithSession) } }
            wait = backoff.failed(unit: unit, wish: wish, now: .now)
        }
        if let most = dialler.configuration.maximumRetries, backoff.triesSinceSession > most {
            throw .unreachable(error.description)
        }
        dialler.progress.failed(error.description, isDown: true, next: wait)
        var metadata: Logger.Metadata = ["again_in": "\(wait.inShort)"]
        if let why = error.waitReason { metadata["why"] = "\(why)" }
        if let told = repeated.line(error.description) {
            if told.times > 1 { metadata["times"] = "\(told.times)" }
            logger.warning("\(error)", metadata: metadata)
        } else {
            logger.debug("\(error)", metadata: metadata)
        }
        return wait
    }
}

extension ClientSessionHandle {
    /// Whether it has a carrier.
    fileprivate var hasCarrier: Bool { withoutCarrierSince == nil }

    /// Whether it has been without a carrier for longer than `time`.
    fileprivate func isLost(since time: Duration) -> Bool {
        withoutCarrierSince.map { Instant.now.since($0) > time } ?? false
    }
}
