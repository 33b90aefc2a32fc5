import Mux
import TunnelCore

/// Decides after each failure whether a client dials again, and when. Pure, as ``Backoff`` is.
///
/// - A refusal ends the run, unless a session has worked and the configuration does not want that: then the server is
///   asked again slowly, and as usual while a session waits for a carrier.
/// - A refused password for a proxy, another key of the server and a mistake in the configuration always end the run.
/// - Every other failure is retried without an end, or as often as the configuration says.
struct RetryPolicy: Sendable {
    /// The longest pause of a peer that is obeyed while a session waits for a carrier.
    static let longestPauseWithSession = Duration.seconds(3)

    private let maximumRetries: Int?
    private let exitsOnRefusal: Bool
    private var backoff = Backoff()
    /// Whether a session has worked in this run.
    private(set) var hasWorked = false

    init(_ configuration: ClientConfiguration) {
        maximumRetries = configuration.maximumRetries
        exitsOnRefusal = configuration.exitsOnRefusal
    }

    /// Records that a dial begins.
    mutating func dialled(now: Instant) {
        backoff.dialled(now: now)
    }

    /// Records that a dial has led to a session.
    mutating func worked() {
        hasWorked = true
    }

    /// The wait after the loss of a carrier. The session continues on the next one.
    ///
    /// - Throws: ``ClientError`` if the run ends.
    mutating func lost(_ lost: LostCarrier, unit: Double, now: Instant) throws(ClientError) -> Duration {
        guard maximumRetries != 0 else { throw .unreachable("session lost: \(lost.reason)") }
        return backoff.lost(held: lost.age, unit: unit, pause: Self.seconds(lost.retryAfter), now: now)
    }

    /// The wait after the end of a session.
    ///
    /// - Throws: ``ClientError`` if the run ends.
    mutating func ended(_ end: ClientSessionEnd, unit: Double, now: Instant) throws(ClientError) -> Duration {
        if let refused = end.refused { throw .refused(refused) }
        backoff.sessionStood()
        guard maximumRetries != 0 else { throw .unreachable("session lost: \(end.description)") }
        return end.isViolation
            ? backoff.failed(unit: unit, pause: nil, now: now)
            : backoff.lost(held: end.held, unit: unit, pause: Self.seconds(end.retryAfter), now: now)
    }

    /// The wait after a failed dial.
    ///
    /// - Parameter hasSession: whether a session waits for the carrier.
    /// - Throws: ``ClientError`` if the run ends.
    mutating func failed(
        _ error: DialError,
        hasSession: Bool,
        unit: Double,
        now: Instant
    ) throws(ClientError) -> Duration {
        let retriesRefusals = hasWorked && !exitsOnRefusal
        if error.isServerInUse { return backoff.serverInUse(unit: unit, now: now) }
        let wait: Duration
        switch error.disposition {
        case .refused where !retriesRefusals || error.isPasswordRefusal || error.isKeyChange:
            throw .refused(error.description)
        case .notOurs where !retriesRefusals: throw .notOurs(error.description)
        case .refusedAtFirst where !hasWorked: throw .refused(error.description)
        case .notOursAtFirst where !hasWorked: throw .notOurs(error.description)
        case .configuration: throw .configuration(error.description)
        case .refused, .notOurs:
            // The path may have refused in the server's place, and a session without a carrier lives for a limited time.
            wait =
                hasSession
                ? backoff.failed(unit: unit, pause: nil, now: now) : backoff.refused(unit: unit, now: now)
        case .retry, .refusedAtFirst, .notOursAtFirst:
            var pause = error.retryAfter.map { Duration.seconds($0) }
            // A session without a carrier lives for a limited time, and a crowded front asks all clients for a pause.
            if hasSession, error.waitReason == nil { pause = pause.map { min($0, Self.longestPauseWithSession) } }
            wait = backoff.failed(unit: unit, pause: pause, now: now)
        }
        if let maximumRetries, backoff.triesSinceSession > maximumRetries {
            throw .unreachable(error.description)
        }
        return wait
    }

    /// The wait after a failed dial while the present carrier lives.
    ///
    /// - Returns: nil if the present carrier is not replaced, since the server has refused the client.
    mutating func renewalFailed(_ error: DialError, unit: Double, now: Instant) -> Duration? {
        guard error.disposition == .retry else { return nil }
        return backoff.failed(unit: unit, pause: error.retryAfter.map { .seconds($0) }, now: now)
    }

    private static func seconds(_ count: UInt32?) -> Duration? { count.map { .seconds(Int64($0)) } }
}
