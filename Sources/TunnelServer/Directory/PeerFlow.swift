import Logging
import Mux
import NIOCore
import Synchronization
import TunnelCore

/// A UDP flow whose sender has reached another server: passes datagrams between the servers' session and the client's.
///
/// ```
///  other server's session ── PeerFlow ──▶ ServiceFlow ── client's session
///  (its event loop)                ◀──                  (its event loop)
/// ```
///
/// Datagrams that wait between the two event loops are bounded; further ones are dropped, as UDP's are.
final class PeerFlow: DatagramFlow {
    let cost = 512
    private let session: SessionLoop
    private let id: StreamID
    private let home: NIOLoopBoundBox<ServiceFlow?>
    private let crossing: CrossingDatagrams
    private var isOver = false

    /// - Parameters:
    ///   - session: the session with the other server.
    ///   - id: its stream.
    ///   - homeLoop: the event loop of the client's session.
    init(_ session: SessionLoop, _ id: StreamID, to homeLoop: any EventLoop, dropped: DroppedDatagrams) {
        (self.session, self.id, crossing) = (session, id, CrossingDatagrams(dropped))
        home = .makeEmptyBox(valueType: ServiceFlow.self, eventLoop: homeLoop)
    }

    /// Opens the flow in the client's session.
    ///
    /// - Parameter admit: decides about it, on the client's event loop.
    func open(_ admit: @escaping @Sendable () -> IngressFlow.Admission) {
        session.attach(self, to: id)
        session.run(.accept(id))
        let peer = NIOLoopBound(self, eventLoop: session.eventLoop)
        home.eventLoop.execute { [home, crossing] in
            guard case .flow(let opening) = admit() else {
                return peer.eventLoop.execute { peer.value.end(.busy) }
            }
            let flow = ServiceFlow(opening, peer, crossing)
            if flow.begin() { home.value = flow } else { peer.eventLoop.execute { peer.value.end(.busy) } }
        }
    }

    // MARK: From the other server

    func deliver(_ datagram: ByteBuffer) {
        guard crossing.entersHome() else { return }
        home.eventLoop.execute { [home, crossing] in
            crossing.toHome.subtract(1, ordering: .relaxed)
            home.value?.send(datagram)
        }
    }

    func flush() {}

    func ended(_ code: ResetCode) {
        isOver = true
        home.eventLoop.execute { [home] in
            home.value?.endedByPeer(code)
            home.value = nil
        }
    }

    // MARK: From the client's session

    fileprivate func send(_ datagram: ByteBuffer) {
        if !isOver { session.run(.datagram(id, datagram)) }
    }

    fileprivate func end(_ code: ResetCode) {
        guard !isOver else { return }
        isOver = true
        session.run(.reset(id, code))
        // The session calls no flow that it was told to reset.
        home.eventLoop.execute { [home] in home.value = nil }
    }
}

/// The other end of a ``PeerFlow``: its stream in the client's session.
final class ServiceFlow: DatagramFlow, CountedStream {
    let cost = 512
    private(set) var id: StreamID?
    private(set) var moved = StreamPipe.ByteCounts()
    private let opening: IngressFlow.Opening
    private let peer: NIOLoopBound<PeerFlow>
    private let crossing: CrossingDatagrams
    private var isOver = false

    fileprivate init(_ opening: IngressFlow.Opening, _ peer: NIOLoopBound<PeerFlow>, _ crossing: CrossingDatagrams) {
        (self.opening, self.peer, self.crossing) = (opening, peer, crossing)
    }

    var identity: StreamIdentity { opening.identity }

    /// - Returns: false if the session has no room.
    fileprivate func begin() -> Bool {
        guard let id = opening.session.open(opening.request, self) else {
            opening.onEnd?(nil)
            return false
        }
        self.id = id
        identity.statistics.joined(self)
        identity.logBegin(to: opening.logger)
        return true
    }

    fileprivate func send(_ datagram: ByteBuffer) {
        guard let id, !isOver, opening.policy.admitsRead(datagram.readableBytes) else { return }
        moved.fromSocket += datagram.readableBytes
        opening.session.run(.datagram(id, datagram))
    }

    fileprivate func endedByPeer(_ code: ResetCode) {
        guard let id, !isOver else { return }
        opening.session.run(.reset(id, code))
        end(code == .timeout ? .idle : .resetByThisSocket)
    }

    func deliver(_ datagram: ByteBuffer) {
        guard !isOver, opening.policy.admitsWrite(datagram.readableBytes), crossing.entersPeer() else { return }
        moved.toSocket += datagram.readableBytes
        peer.eventLoop.execute { [peer, crossing] in
            crossing.toPeer.subtract(1, ordering: .relaxed)
            peer.value.send(datagram)
        }
    }

    func flush() {}

    func ended(_ code: ResetCode) {
        peer.eventLoop.execute { [peer] in peer.value.end(code) }
        end(.resetByOtherEnd(code))
    }

    private func end(_ ending: SocketState.Ending) {
        guard let id, !isOver else { return }
        isOver = true
        identity.logEnd(of: id, moved, ending, to: opening.logger)
        identity.statistics.left(self)
        opening.onEnd?(ending)
    }
}

/// The datagrams of a flow on their way between two event loops.
final class CrossingDatagrams: Sendable {
    /// Datagrams in one direction. 64: as many as a flow's queue keeps.
    static let limit = 64

    let toHome = Atomic(0)
    let toPeer = Atomic(0)
    private let dropped: DroppedDatagrams

    init(_ dropped: DroppedDatagrams) {
        self.dropped = dropped
    }

    /// Counts another datagram to the client's session.
    ///
    /// - Returns: false if it is dropped.
    func entersHome() -> Bool {
        if toHome.add(1, ordering: .relaxed).oldValue < Self.limit { return true }
        toHome.subtract(1, ordering: .relaxed)
        dropped.add(.count)
        return false
    }

    /// The same to the other server's session.
    func entersPeer() -> Bool {
        if toPeer.add(1, ordering: .relaxed).oldValue < Self.limit { return true }
        toPeer.subtract(1, ordering: .relaxed)
        dropped.add(.count)
        return false
    }
}
