import Mux
import NIOCore
import Synchronization

/// Whom a public port belongs to. Shared by all event loops; asked when ports are claimed and given up.
final class PortRegistry: Sendable {
    /// One process of one client: the same after a restart.
    struct Owner: Sendable, Hashable {
        let client: [UInt8]
        let instance: [UInt8]
    }

    /// What a claim leads to.
    enum Outcome {
        /// The port is yours; give it back with ``release(_:_:)``.
        case granted
        /// Another session of the same process holds it: it may be dead without knowing.
        case heldBySame(SessionHandle)
        /// Somebody else holds it.
        case heldByOther(name: String, seconds: Int)
        /// It is kept for somebody who has lost the connection and may come back.
        case kept(name: String, secondsLeft: Int)
    }

    private struct Claim {
        let session: SessionHandle
        let since: Moment
        var count: Int
    }

    /// A port whose session was cut off: nobody listens, and only the same process may have it.
    private struct Reservation {
        let owner: Owner
        let name: String
        let until: Moment
    }

    /// How long a port is kept for a client that was cut off: long enough to come back through a proxy that restarts.
    static let grace = Duration.seconds(120)

    private struct Ports {
        var claims: [UInt16: Claim] = [:]
        var reservations: [UInt16: Reservation] = [:]
    }

    private let ports = Mutex(Ports())

    /// Claims `port` for a session. A session may claim a port once for each of its addresses.
    func claim(_ port: UInt16, for session: SessionHandle, now: Moment) -> Outcome {
        ports.withLock { ports in
            guard let held = ports.claims[port] else {
                if let kept = ports.reservations[port], kept.owner != session.owner, kept.until > now {
                    let (seconds, _) = kept.until.since(now).components
                    return .kept(name: kept.name, secondsLeft: Int(clamping: seconds + 1))
                }
                ports.reservations[port] = nil
                ports.claims[port] = Claim(session: session, since: now, count: 1)
                return .granted
            }
            if held.session === session {
                ports.claims[port]?.count += 1
                return .granted
            }
            if held.session.owner == session.owner { return .heldBySame(held.session) }
            let (seconds, _) = now.since(held.since).components
            return .heldByOther(name: held.session.name, seconds: Int(clamping: seconds))
        }
    }

    /// Gives a claim back. A session that has lost the port meanwhile changes nothing.
    ///
    /// - Parameter now: given where the session was cut off: the port is kept for it then.
    func release(_ port: UInt16, _ session: SessionHandle, keptFrom now: Moment? = nil) {
        ports.withLock { ports in
            guard let held = ports.claims[port], held.session === session else { return }
            ports.claims[port]?.count -= 1
            guard held.count <= 1 else { return }
            ports.claims[port] = nil
            guard let now else { return }
            // Those whose time is over go when others come: a port each is all they can cost.
            ports.reservations = ports.reservations.filter { $0.value.until > now }
            ports.reservations[port] = Reservation(owner: session.owner, name: session.name, until: now + Self.grace)
        }
    }
}

/// A session as other event loops see it: they may ask whether it lives, and end it.
final class SessionHandle: Sendable {
    let owner: PortRegistry.Owner
    /// What the operator is told of it.
    let facts: SessionFacts
    /// The operator's name for the client, and the client's for itself.
    var name: String { facts.name }
    private let session: NIOLoopBound<ServerSession>
    let loop: any EventLoop

    init(_ session: ServerSession, owner: PortRegistry.Owner, facts: SessionFacts, loop: any EventLoop) {
        self.session = NIOLoopBound(session, eventLoop: loop)
        self.owner = owner
        self.facts = facts
        self.loop = loop
    }

    /// What the operator sees of it now.
    func status() -> EventLoopFuture<SessionStatus> {
        loop.submit { self.session.value.status(self.facts) }
    }

    /// What the metrics say of it now.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit { TunnelGauges(self.session.value.driver, self.session.value.ledgers) }
    }

    /// Whether the client at the other end answers within `timeout`.
    func isAlive(within timeout: TimeAmount) -> EventLoopFuture<Bool> {
        loop.flatSubmit { self.session.value.probe(timeout: timeout) }
    }

    /// Ends the session; its ports are free when the future is done.
    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.end(reason) }
    }

    /// The client's rights have changed.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        loop.execute { self.session.value.update(rights, configuration) }
    }

    /// Lets the session's streams finish; the future is done when the last has.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.drain(reason) }
    }
}
