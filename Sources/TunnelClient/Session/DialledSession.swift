import Mux
import TunnelCore

/// A session as ``ReconnectLoop`` sees it: from outside its event loop, over all of its carriers.
protocol DialledSession: AnyObject, Sendable {
    /// The signals of the session, for one listener.
    var signals: AsyncStream<SessionSignal> { get }
    /// Whether the session is over.
    var isOver: Bool { get }
    /// The number of the carrier that the session has, or had last: 1 for the first.
    var carrier: Int { get }
    /// The time at which the carrier was lost; nil while there is one.
    var withoutCarrierSince: Instant? { get }

    /// Sets how often the carrier is pinged and when it is replaced, counted from the carrier's own start.
    func maintain(pingInterval: Duration?, renewal: Duration?)
    /// Makes ``signals`` return this number after a while.
    func remind(_ number: Int, in wait: Duration)
    /// Ends the session now.
    func end()
}

/// Dials servers, and begins or resumes sessions there.
protocol SessionDialler: Sendable {
    associatedtype Session: DialledSession

    /// Dials by one way.
    ///
    /// - Parameters:
    ///   - session: the session that needs a carrier; nil to begin one.
    ///   - withholdsCredentials: whether the proxy receives no password, whatever it asks for.
    ///   - onBound: called for each tunnel that becomes public.
    /// - Returns: the session that has the carrier; another one if the server does not know the first any more.
    /// - Throws: ``DialError``. A carrier that the session has stays in use.
    func dial(
        _ way: DialWay,
        for session: Session?,
        withholdsCredentials: Bool,
        onBound: @escaping @Sendable (TunnelSpec, Binding) -> Void
    ) async throws(DialError) -> Session
}

/// A signal from a session to the loop that dials for it.
enum SessionSignal: Sendable {
    /// The carrier of that number is lost.
    case lost(LostCarrier, carrier: Int)
    /// One of several carriers is lost, and the session goes on over the others.
    case lostLane(LostCarrier)
    /// The carrier of that number is to be replaced while it lives.
    case renewal(why: String, carrier: Int)
    /// The server is stopping, and the session ends with its last stream.
    ///
    /// - Parameter retryAfter: the pause that the server asks for before the next session, in seconds.
    case goingAway(retryAfter: UInt32?)
    /// The time of ``DialledSession/remind(_:in:)`` has passed.
    case reminder(Int)
    /// The session is over. No signal follows.
    case ended(ClientSessionEnd)
}

/// The end of a session.
struct ClientSessionEnd: Sendable {
    let description: String
    /// The pause that the server asks for, in seconds.
    let retryAfter: UInt32?
    /// The age of its last carrier.
    let held: Duration
    /// Whether the peer broke the protocol, so that to dial again at once would not help.
    let isViolation: Bool
    /// The tunnel that the server refused for good, so that another session would not get it either.
    let refused: String?
    /// Whether the server has acknowledged everything, as far as that is known.
    var isDelivered = false
}

extension ClientSessionEnd {
    init(_ end: SessionEnd, held: Duration, refused: String?) {
        var retryAfter: UInt32?
        if case .peer(let reason) = end { retryAfter = reason.retryAfter }
        let isViolation =
            switch end {
            case .violation: true
            case .carrierLost(let loss): loss.isProtocolViolation
            case .local, .peer, .abandoned, .forgotten: false
            }
        self.init(description: "\(end)", retryAfter: retryAfter, held: held, isViolation: isViolation, refused: refused)
    }
}
