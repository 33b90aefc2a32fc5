import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// This server as the home of sessions whose visitors have reached another server.
///
/// The sessions with other servers belong to a core of their own, whose only clients are servers.
final class PeerHome: Sendable {
    /// Time in which a client must answer for its session.
    static let lifeTimeout = PublicPorts.takeOverTimeout

    private let core: ServerCore

    /// - Parameter core: the core of the clients' sessions.
    init(_ core: ServerCore) {
        self.core = core
    }

    /// Takes a stream of another server. One hop is the last: only sessions of this server are looked at.
    func open(_ stream: StreamID, _ request: OpenRequest, in session: SessionLoop) {
        guard case .destination(let text) = request.target, let destination = PeerDestination(text) else {
            return session.run(.reset(stream, .notAllowed))
        }
        switch destination {
        case .tunnel(let number, let id):
            guard let home = core.session(id) else { return session.run(.reset(stream, .moved)) }
            let member = RouteMember(number, of: home.name, isRemote: false, on: home.loop) { visitor, link, onEnd in
                home.open(visitor, link, at: number, onEnd: onEnd)
            }
            let visitor = RoutedVisitor(
                description: request.visitor,
                address: HostPort(request.visitor).flatMap { IPAddress($0.host) },
                publicAddress: request.publicAddress
            )
            PeerVisitor(session, stream).open(to: member, visitor)
        case .life(let id):
            answer(stream, session, for: core.session(id))
        }
    }

    private func answer(_ stream: StreamID, _ session: SessionLoop, for home: ServerSessionHandle?) {
        guard let home else { return session.run(.reset(stream, .moved)) }
        let end = LifeAnswer(session, stream)
        session.attach(end, to: stream)
        home.isAlive(within: Self.lifeTimeout).hop(to: session.eventLoop).assumeIsolated().whenComplete { result in
            if case .success(true) = result { end.accept() } else { end.refuse() }
        }
    }
}

/// The end of a stream that asks for a sign of life.
private final class LifeAnswer: StreamEnd {
    private let session: SessionLoop
    private let id: StreamID
    private var isClosed = false

    init(_ session: SessionLoop, _ id: StreamID) {
        (self.session, self.id) = (session, id)
    }

    func accept() {
        guard !isClosed else { return }
        session.run(.accept(id))
        session.run(.finished(id))
    }

    func refuse() {
        if !isClosed { session.run(.reset(id, .moved)) }
    }

    var isPending: Bool { false }
    var isConnecting: Bool { true }
    func begin(_ id: StreamID) {}
    func accepted() {}

    func deliver(_ bytes: ByteBuffer) -> Bool {
        session.run(.taken(id, bytes.readableBytes))
        return false
    }

    func endOutput() -> Bool { false }
    func flush() {}
    func pauseReading() {}
    func resumeReading() {}
    func detach() { isClosed = true }
    func reset(_ code: ResetCode) { isClosed = true }
    func abort(_ code: ResetCode) { isClosed = true }
}
