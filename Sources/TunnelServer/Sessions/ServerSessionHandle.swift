import Mux
import NIOCore
import Synchronization
import TunnelCore

/// A session as other event loops see it.
final class ServerSessionHandle: PortHolder {
    /// The session's id in RESUME.
    let id: [UInt8]
    /// The keys with which later carriers prove that they belong to the session.
    let keys: SessionKeys
    let owner: PortOwner
    /// The public id of the token with which the client has proved itself.
    let credential: [UInt8]
    /// Facts for the operator.
    let facts: SessionFacts
    /// The operator's name for the client, with the client's own name for itself.
    var name: String { facts.name }
    private let session: NIOLoopBound<ServerSession>
    let loop: any EventLoop
    /// The time until which it waits for a carrier, in the event loops' nanoseconds; 0 while it has one.
    private let waiting = Atomic<UInt64>(0)

    init(
        _ session: ServerSession,
        id: [UInt8],
        keys: SessionKeys,
        owner: PortOwner,
        credential: [UInt8]? = nil,
        facts: SessionFacts,
        loop: any EventLoop
    ) {
        self.id = id
        self.keys = keys
        self.session = NIOLoopBound(session, eventLoop: loop)
        self.owner = owner
        self.credential = credential ?? owner.client
        self.facts = facts
        self.loop = loop
    }

    /// The time until which it waits for another carrier; nil while it has one.
    var waitsUntil: Instant? {
        get {
            let time = waiting.load(ordering: .relaxed)
            return time == 0 ? nil : Instant(nanoseconds: time)
        }
        set { waiting.store(newValue?.nanoseconds ?? 0, ordering: .relaxed) }
    }

    /// Gives the session a carrier that was accepted on the event loop `home`, on which this is called, or refuses it.
    func resume(
        _ carrier: Carrier,
        on home: any EventLoop,
        from origin: CarrierOrigin,
        _ proof: ServerHandshake.Resumed
    ) {
        guard home !== loop else { return session.value.carriers.take(carrier, from: origin, proof) }
        let bridge = CarrierBridge.build(carrier, from: home, to: loop)
        loop.execute { [session] in
            session.value.carriers.take(bridge(), from: origin, proof)
        }
    }

    /// Records that the path has altered a request for another carrier.
    func noteAlteration() {
        loop.execute { self.session.value.sessionLoop.noteAlteration() }
    }

    /// Asks the client for another carrier.
    func askForRenewal(within seconds: UInt32) {
        loop.execute { self.session.value.sessionLoop.run(.askForRenewal(within: seconds)) }
    }

    /// The session's present state, for the operator.
    ///
    /// - Parameter isWhole: whether with its visitors and endings.
    func status(isWhole: Bool) -> EventLoopFuture<SessionStatus> {
        loop.submit { self.session.value.status(self.facts, isWhole: isWhole) }
    }

    /// The session's present gauges, for the metrics.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit {
            let session = self.session.value
            return TunnelGauges(session.sessionLoop, session.allStatistics, unpublished: session.refusedTunnels.count)
        }
    }

    /// Opens a stream to a tunnel for a visitor that another server has sent.
    ///
    /// - Parameter onEnd: called once the stream is gone.
    func open(
        _ visitor: RoutedVisitor,
        _ link: VisitorLink,
        at tunnel: UInt16,
        onEnd: @escaping @Sendable () -> Void
    ) {
        loop.execute { self.session.value.admission.open(visitor, link, at: tunnel, onEnd: onEnd) }
    }

    /// A tunnel of the session, for visitors that no listener of its own has accepted.
    func member(_ tunnel: UInt16) -> RouteMember {
        RouteMember(tunnel, of: name, at: nil, on: loop) { [self] visitor, link, onEnd in
            open(visitor, link, at: tunnel, onEnd: onEnd)
        }
    }

    /// What the flow of a sender at another server belongs to; on the session's event loop.
    func flow(from remote: SocketAddress, at tunnel: UInt16) -> IngressFlow.Admission {
        session.value.admission.flow(from: remote, at: tunnel)
    }

    func isAlive(within timeout: TimeAmount) -> EventLoopFuture<Bool> {
        loop.flatSubmit { self.session.value.sessionLoop.probe(timeout: timeout) }
    }

    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.end(reason) }
    }

    /// Applies other rights of the client.
    ///
    /// - Returns: done once requests and visitors are judged by them.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) -> EventLoopFuture<Void> {
        loop.submit { self.session.value.update(rights, configuration) }
    }

    /// Lets the session's streams finish.
    ///
    /// - Returns: done once the session has ended.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.drain(reason) }
    }
}
