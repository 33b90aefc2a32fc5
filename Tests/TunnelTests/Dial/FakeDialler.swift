import Mux
import Synchronization

@testable import TunnelClient
@testable import TunnelCore

/// A clock that advances with each wait, and notes with their times.
final class FakeTime: Sendable {
    private struct State {
        var now = FakeTime.start
        var notes: [String] = []
        var sleeps = 0
    }

    private static let start = Instant(nanoseconds: 1_000_000_000_000)
    private let state = Mutex(State())
    /// Called in each wait with its number, before the clock advances.
    let onSleep: @Sendable (Int) async throws -> Void
    private let unit: Double

    init(unit: Double, onSleep: @escaping @Sendable (Int) async throws -> Void = { _ in }) {
        self.unit = unit
        self.onSleep = onSleep
    }

    var now: Instant { state.withLock { $0.now } }
    var notes: [String] { state.withLock { $0.notes } }

    func advance(_ time: Duration) {
        state.withLock { $0.now = $0.now + max(time, .zero) }
    }

    /// Notes a line with a time in seconds, by default the current time.
    func note(_ line: String, at time: Instant? = nil) {
        state.withLock { state in
            let milliseconds = (time ?? state.now).since(Self.start) / .milliseconds(1)
            state.notes.append("\(milliseconds.rounded() / 1_000) \(line)")
        }
    }

    func sleep(_ time: Duration) async throws {
        let number = state.withLock { state in
            state.sleeps += 1
            return state.sleeps
        }
        try await onSleep(number)
        advance(time)
    }

    var reconnectTime: ReconnectTime {
        ReconnectTime(now: { self.now }, random: { self.unit })
    }
}

/// An event of a session after a dial.
enum SessionEvent: Sendable {
    /// The carrier is lost after this time.
    case lost(after: Double, idle: Double = 0, retryAfter: UInt32? = nil)
    /// The loss of a replaced carrier is reported.
    case lateLoss
    /// A renewal of the carrier is due after this time.
    case renewal(after: Double)
    /// The operator requests a carrier during the next wait of the session.
    case operatorRenews
    /// The server is stopping, after this time.
    case goingAway(after: Double, retryAfter: UInt32? = nil)
    /// The session ends after this time.
    case ended(after: Double, retryAfter: UInt32? = nil, isViolation: Bool = false, refused: String? = nil)

    /// Ends a scenario.
    static let over = SessionEvent.ended(after: 1, refused: "over")
}

/// The outcome of one dial.
enum Outcome: Sendable {
    case fails(DialError, [SessionEvent] = [])
    /// A new session begins.
    case begins([SessionEvent])
    /// The session continues on a new carrier.
    case resumes([SessionEvent])
    /// The server has forgotten the session, and another one begins.
    case forgotten([SessionEvent])
}

/// A session without a server.
final class FakeSession: DialledSession {
    private struct State {
        var carrier = 1
        var carrierSince: Instant
        var withoutSince: Instant?
        var isOver = false
        var isRenewedByOperator = false
    }

    let name: Int
    let begin: Instant
    let signals: AsyncStream<SessionSignal>
    private let signal: AsyncStream<SessionSignal>.Continuation
    private let state: Mutex<State>
    private let time: FakeTime

    init(_ name: Int, _ time: FakeTime) {
        self.name = name
        self.time = time
        begin = time.now
        (signals, signal) = AsyncStream.makeStream(of: SessionSignal.self)
        state = Mutex(State(carrierSince: begin))
    }

    var isOver: Bool { state.withLock { $0.isOver } }
    var carrier: Int { state.withLock { $0.carrier } }
    var withoutCarrierSince: Instant? { state.withLock { $0.withoutSince } }

    func resume() {
        let now = time.now
        state.withLock { state in
            state.carrier += 1
            (state.carrierSince, state.withoutSince) = (now, nil)
        }
    }

    func maintain(pingInterval: Duration?, renewal: Duration?) {
        guard pingInterval != nil || renewal != nil else { return }
        let ping = pingInterval.map { "\($0 / .seconds(1))" } ?? "usual"
        let age = renewal.map { "\($0 / .seconds(1))" } ?? "never"
        time.note("maintain \(name): ping \(ping), renewal \(age)", at: state.withLock { $0.carrierSince })
    }

    func remind(_ number: Int, in wait: Duration) {
        let isRenewed = state.withLock { state in
            defer { state.isRenewedByOperator = false }
            return state.isRenewedByOperator
        }
        if isRenewed { signal.yield(.renewal(why: "asked for", carrier: carrier)) } else { time.advance(wait) }
        signal.yield(.reminder(number))
    }

    func end() {
        time.note("end \(name)")
        apply(.ended(after: 0))
    }

    func apply(_ event: SessionEvent) {
        switch event {
        case .lost(let seconds, let idle, let retryAfter):
            time.advance(.seconds(seconds))
            let now = time.now
            let (age, carrier) = state.withLock { state in
                state.withoutSince = now
                return (now.since(state.carrierSince), state.carrier)
            }
            let lost = LostCarrier(reason: "cut", age: age, idle: .seconds(idle), retryAfter: retryAfter)
            signal.yield(.lost(lost, carrier: carrier))
        case .lateLoss:
            let lost = LostCarrier(reason: "late", age: .zero, idle: .zero, retryAfter: nil)
            signal.yield(.lost(lost, carrier: carrier - 1))
        case .renewal(let seconds):
            time.advance(.seconds(seconds))
            signal.yield(.renewal(why: "it is old", carrier: carrier))
        case .operatorRenews:
            state.withLock { $0.isRenewedByOperator = true }
        case .goingAway(let seconds, let retryAfter):
            time.advance(.seconds(seconds))
            signal.yield(.goingAway(retryAfter: retryAfter))
        case .ended(let seconds, let retryAfter, let isViolation, let refused):
            time.advance(.seconds(seconds))
            let now = time.now
            let held = state.withLock { state in
                state.isOver = true
                return now.since(state.carrierSince)
            }
            signal.yield(
                .ended(
                    ClientSessionEnd(
                        description: "ended",
                        retryAfter: retryAfter,
                        held: held,
                        isViolation: isViolation,
                        refused: refused
                    )
                )
            )
            signal.finish()
        }
    }
}

/// A dialler that follows a script with one outcome for each dial. After the last one it cancels the loop's task.
final class FakeDialler: SessionDialler {
    private let script: Mutex<(rest: ArraySlice<Outcome>, sessions: Int)>
    private let time: FakeTime

    init(_ script: [Outcome], _ time: FakeTime) {
        self.script = Mutex((script[...], 0))
        self.time = time
    }

    func dial(
        _ way: DialWay,
        for session: FakeSession?,
        withholdsCredentials: Bool,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> FakeSession {
        let suffix = session.map { " for \($0.name)" } ?? ""
        time.note("dial \(way.endpoint.host)\(suffix)\(withholdsCredentials ? " without credentials" : "")")
        switch script.withLock({ $0.rest.popFirst() }) {
        case nil:
            withUnsafeCurrentTask { $0?.cancel() }
            throw DialError.fixture(.connect, "the script has ended", .retry)
        case .fails(let error, let events)?:
            for event in events { session?.apply(event) }
            throw error
        case .begins(let events)?, .forgotten(let events)?:
            return follow(begin(), events)
        case .resumes(let events)?:
            session?.resume()
            return follow(session ?? begin(), events)
        }
    }

    private func begin() -> FakeSession {
        let number = script.withLock { script in
            script.sessions += 1
            return script.sessions
        }
        return FakeSession(number, time)
    }

    private func follow(_ session: FakeSession, _ events: [SessionEvent]) -> FakeSession {
        for event in events { session.apply(event) }
        return session
    }
}
