import Crypto
import Mux
import NIOCore
import Synchronization
import TunnelAdmin
import TunnelCore

/// Whom a public port belongs to. Shared by all event loops; asked when ports are claimed and given up.
final class PortDirectory: Sendable {
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
        case heldBySame(ServerSessionHandle)
        /// Somebody else holds it.
        case heldByOther(name: String, seconds: Int)
        /// It is kept for somebody whose connection is lost and who may come back.
        case kept(name: String, secondsLeft: Int)
    }

    private struct Claim {
        let session: ServerSessionHandle
        let since: Instant
        var count: Int
    }

    private let ports = Mutex<[UInt16: Claim]>([:])
    /// How many of them each client has.
    private let ofClient = Mutex<[[UInt8]: Int]>([:])
    /// Ports on which the server itself listens, each with its use.
    private let own = Mutex<[UInt16: String]>([:])

    /// Notes a port of the server's own, so that a client that asks for it is told.
    func note(own port: UInt16, use: String) {
        own.withLock { $0[port] = use }
    }

    /// What the server itself uses a port for; nil if it does not.
    func use(ofOwn port: UInt16) -> String? { own.withLock { $0[port] } }

    /// How many tunnels of a session have a claim on a port.
    func claims(_ port: UInt16, of session: ServerSessionHandle) -> Int {
        ports.withLock { ports in
            guard let held = ports[port], held.session === session else { return 0 }
            return held.count
        }
    }

    /// Ports that a client has, and those that all have.
    func count(of client: [UInt8]) -> (own: Int, all: Int) {
        let all = ports.withLock(\.count)
        return (ofClient.withLock { $0[client, default: 0] }, all)
    }

    private func change(_ client: [UInt8], by change: Int) {
        ofClient.withLock { counts in
            let count = counts[client, default: 0] + change
            counts[client] = count > 0 ? count : nil
        }
    }

    /// Claims `port` for a session. A session may claim a port once for each of its addresses.
    func claim(_ port: UInt16, for session: ServerSessionHandle, now: Instant) -> Outcome {
        ports.withLock { ports in
            guard let held = ports[port] else {
                ports[port] = Claim(session: session, since: now, count: 1)
                change(session.owner.client, by: 1)
                return .granted
            }
            if held.session === session {
                ports[port]?.count += 1
                return .granted
            }
            if held.session.owner == session.owner { return .heldBySame(held.session) }
            if let until = held.session.waitsUntil {
                let (seconds, _) = until.since(now).components
                return .kept(name: held.session.name, secondsLeft: Int(clamping: seconds + 1))
            }
            let (seconds, _) = now.since(held.since).components
            return .heldByOther(name: held.session.name, seconds: Int(clamping: seconds))
        }
    }

    /// Gives a claim back. A session that has lost the port meanwhile changes nothing.
    func release(_ port: UInt16, _ session: ServerSessionHandle) {
        ports.withLock { ports in
            guard let held = ports[port], held.session === session else { return }
            ports[port]?.count -= 1
            guard held.count <= 1 else { return }
            ports[port] = nil
            change(session.owner.client, by: -1)
        }
    }
}

/// A session as other event loops see it: they may ask whether it lives, and end it.
final class ServerSessionHandle: Sendable {
    /// Its name for RESUME.
    let id: [UInt8]
    /// With what its later carriers prove that they are its.
    let resumeKey: SymmetricKey
    let owner: PortDirectory.Owner
    /// What the operator is told of it.
    let facts: SessionFacts
    /// The operator's name for the client, and the client's for itself.
    var name: String { facts.name }
    private let session: NIOLoopBound<ServerSession>
    let loop: any EventLoop
    /// Until when it waits for a carrier, in the event loops' nanoseconds; 0 while it has one.
    private let waiting = Atomic<UInt64>(0)

    init(
        _ session: ServerSession,
        id: [UInt8],
        resumeKey: SymmetricKey,
        owner: PortDirectory.Owner,
        facts: SessionFacts,
        loop: any EventLoop
    ) {
        self.id = id
        self.resumeKey = resumeKey
        self.session = NIOLoopBound(session, eventLoop: loop)
        self.owner = owner
        self.facts = facts
        self.loop = loop
    }

    /// Until when it waits for a new carrier; nil while it has one.
    var waitsUntil: Instant? {
        get {
            let time = waiting.load(ordering: .relaxed)
            return time == 0 ? nil : Instant(nanoseconds: time)
        }
        set { waiting.store(newValue?.nanoseconds ?? 0, ordering: .relaxed) }
    }

    /// Gives the session a carrier that was accepted on the loop `home`, where this is called, or refuses it there.
    func resume(
        _ carrier: Carrier,
        on home: any EventLoop,
        from peer: String,
        _ resumption: Resumption,
        _ proof: ServerHandshake.Resumed,
        refuse: @escaping @Sendable (any CarrierLink, Refusal) -> Void
    ) {
        guard home !== loop else {
            if let refusal = session.value.resume(carrier, from: peer, resumption, proof) { refuse(carrier, refusal) }
            return
        }
        let bridge = CarrierBridge.build(carrier, from: home, to: loop)
        loop.execute { [session] in
            let carrier = bridge()
            if let refusal = session.value.resume(carrier, from: peer, resumption, proof) { refuse(carrier, refusal) }
        }
    }

    /// Asks the client for another carrier.
    func askForRenewal(within seconds: UInt32) {
        loop.execute { self.session.value.sessionLoop.run(.askForRenewal(within: seconds)) }
    }

    /// What the operator sees of it now.
    func status() -> EventLoopFuture<SessionStatus> {
        loop.submit { self.session.value.status(self.facts) }
    }

    /// What the metrics say of it now.
    func measure() -> EventLoopFuture<TunnelGauges> {
        loop.submit { TunnelGauges(self.session.value.sessionLoop, self.session.value.statistics) }
    }

    /// Whether the client at the other end answers within `timeout`.
    func isAlive(within timeout: TimeAmount) -> EventLoopFuture<Bool> {
        loop.flatSubmit { self.session.value.probe(timeout: timeout) }
    }

    /// Ends the session; its ports are free when the future is done.
    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.end(reason) }
    }

    /// The client's rights have changed; the future is done when the session judges by them.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) -> EventLoopFuture<Void> {
        loop.submit { self.session.value.update(rights, configuration) }
    }

    /// Lets the session's streams finish; the future is done when the last has.
    func drain(_ reason: Refusal) -> EventLoopFuture<Void> {
        loop.flatSubmit { self.session.value.drain(reason) }
    }
}
