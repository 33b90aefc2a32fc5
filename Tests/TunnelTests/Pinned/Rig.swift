import Logging
import Mux
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// One end of a session with fake sockets and a fake carrier, turned by hand.
///
/// Its tests say what comes in at one side and what goes out at the other. Only this file knows by which types.
final class Rig {
    let loop = EmbeddedEventLoop()
    /// The carrier that the session was given last.
    private(set) var carrier = FakeCarrier()
    /// What the session has told its role, without hints of room: `bound 0`, `lost`, `ended: peer`.
    var told: [String] { witness.told }
    /// Streams whose service is not wanted any more while it is being connected to.
    var abandonedConnects: [UInt32] { witness.abandonedConnects }

    private let session: SessionLoop
    private let witness: Witness
    private let statistics: TunnelStatistics
    private var pipes: [ObjectIdentifier: StreamPipe] = [:]

    /// A session that has begun, without its first questions.
    ///
    /// - Parameter peerWindow: what the peer takes of a new stream, bytes.
    init(_ role: Mux.Role, peerWindow: UInt32 = 65_536, _ change: (inout MuxLimits) -> Void = { _ in }) {
        var limits = MuxLimits()
        change(&limits)
        session = SessionLoop(
            session: Session(role: role, limits: limits, peerWindow: peerWindow, seed: 1, now: .now),
            carrier: carrier,
            loop: loop,
            pollsBusily: false,
            memory: MemoryBudget(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        statistics = TunnelStatistics(tunnel: 0, role: role, totals: TrafficTotals())
        witness = Witness(statistics)
        if role == .server {
            session.start(witness as any ServerSessionOwner)
        } else {
            session.start(witness as any ClientSessionOwner)
        }
        loop.run()
    }

    // MARK: The peer

    /// The peer's frames come, all in one read of the carrier.
    func receive(_ frames: PeerFrame...) throws {
        for frame in frames { carrier.receiver?.carrier(received: try #require(try frame.arrived())) }
        carrier.receiver?.carrierReadCompleted()
        loop.run()
    }

    /// The frames that have left for the peer since this was asked last.
    func sent(withHousekeeping: Bool = false) -> [String] {
        loop.run()
        return carrier.takeSent(withHousekeeping: withHousekeeping)
    }

    // MARK: Carriers

    /// The carrier dies.
    func loseCarrier(_ loss: CarrierLoss = CarrierLoss(description: "cut")) {
        carrier.receiver?.carrierLost(loss)
        loop.run()
    }

    /// The session goes on with a new carrier, on which the peer says that it has so many counted frames.
    func bringCarrier(peerReceived: UInt64) {
        carrier = FakeCarrier()
        session.run(.attach(carrier, peerReceived: peerReceived, first: nil))
        loop.run()
    }

    /// The carrier takes frames again.
    func carrierTakesFrames() {
        carrier.isWritable = true
        carrier.receiver?.carrierBecameWritable()
        loop.run()
    }

    /// The peer is about to be told, on a new carrier, how many counted frames have come: the answer.
    func prepareRenewal() -> UInt64 { session.deferFrames() }

    /// There will be no new carrier.
    func giveUpRenewal() {
        session.run(.takeDeferred)
        loop.run()
    }

    var hasCarrier: Bool { session.hasCarrier }

    // MARK: The session

    func end() {
        session.run(.end(Refusal(.goingAway, "the end")))
        loop.run()
    }

    func drain() {
        session.run(.drain(Refusal(.goingAway, "soon")))
        loop.run()
    }

    /// Timers that are due by the real clock, on which the session's own run.
    func runDueTimers() { loop.advanceTime(to: .now()) }

    var isEnded: Bool { session.isEnded }
    var streamCount: Int { session.streamCount }
    /// Bytes of the peer's that no socket has taken yet.
    var bytesForSockets: Int { session.waitingBytes.toDeliver }

    // MARK: Sockets

    static func policy(idle: TimeAmount) -> StreamPolicy { StreamPolicy(idleTimeout: idle) }

    static func policy(bytesPerSecond: Int) -> StreamPolicy {
        StreamPolicy(rateLimits: [RateLimit(bytesPerSecond: bytesPerSecond, now: .now)])
    }

    /// Server: a visitor comes, and waits for a stream.
    func waitingVisitor(_ policy: StreamPolicy = .unbounded) throws -> FakeSocket {
        let identity = StreamIdentity(visitor: "192.0.2.1:40001", statistics: statistics)
        let pipe = StreamPipe(session: session, policy: policy, identity: identity, logger: session.logger) { _ in }
        let socket = FakeSocket(loop: loop)
        pipes[ObjectIdentifier(socket)] = pipe
        try socket.pipeline.syncOperations.addHandler(pipe)
        loop.run()
        return socket
    }

    /// Server: a visitor that waits gets its stream.
    func admit(_ socket: FakeSocket) throws {
        let pipe = try #require(pipes[ObjectIdentifier(socket)])
        let id = session.open(OpenRequest(tunnel: 0, visitor: "192.0.2.1:40001"), pipe)
        pipe.open(try #require(id))
        loop.run()
    }

    /// Server: whether a visitor still waits for its stream.
    func isWaiting(_ socket: FakeSocket) -> Bool { pipes[ObjectIdentifier(socket)]?.isPending ?? false }

    /// Server: a visitor comes and has its stream, which is told apart by number; the client has accepted it.
    func visitor(_ stream: UInt32 = 2, _ policy: StreamPolicy = .unbounded) throws -> FakeSocket {
        let socket = try waitingVisitor(policy)
        try admit(socket)
        try receive(.accept(stream))
        #expect(sent() == ["OPEN \(stream)"])
        return socket
    }

    /// Client: the service of a stream that the peer has opened answers.
    func connect(_ stream: UInt32) throws -> FakeSocket {
        let socket = FakeSocket(loop: loop)
        try socket.pipeline.syncOperations.addHandler(try #require(witness.pipes[StreamID(stream)]))
        loop.run()
        return socket
    }

    /// Client: the service of a stream cannot be had.
    func refuse(_ stream: UInt32) throws {
        try #require(witness.pipes[StreamID(stream)]).fail(.refused)
        loop.run()
    }

    /// Client: whether a stream still waits for its service.
    func isConnecting(_ stream: UInt32) -> Bool { witness.pipes[StreamID(stream)]?.isPending ?? false }

    /// Client: the peer opens a stream, and its service answers at once.
    func service(_ stream: UInt32 = 2) throws -> FakeSocket {
        try receive(.open(stream))
        let socket = try connect(stream)
        // ACCEPT leaves with the next frames, or with the ACK that is due within 20 ms.
        carrierTakesFrames()
        #expect(sent() == ["ACCEPT \(stream)"])
        return socket
    }
}

/// Stands for the role, and writes down what it is told.
private final class Witness: ServerSessionOwner, ClientSessionOwner {
    private(set) var told: [String] = []
    private(set) var pipes: [StreamID: StreamPipe] = [:]
    private(set) var abandonedConnects: [UInt32] = []
    private let statistics: TunnelStatistics

    init(_ statistics: TunnelStatistics) { self.statistics = statistics }

    func session(_ session: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        let identity = StreamIdentity(visitor: visit.visitor, statistics: statistics)
        let pipe = StreamPipe(session: session, stream: stream, identity: identity, logger: session.logger) { pipe in
            pipe.open(stream)
            session.run(.accept(stream))
        }
        pipe.connecting { [weak self] in self?.abandonedConnects.append(stream.rawValue) }
        pipes[stream] = pipe
        session.attach(pipe, to: stream)
    }

    func session(_ session: SessionLoop, bind request: BindRequest) { told.append("bind \(request.tunnel)") }
    func session(_ session: SessionLoop, bound binding: Binding) { told.append("bound \(binding.tunnel)") }
    func session(_ session: SessionLoop, unbound tunnel: UInt16, _: Refusal) { told.append("unbound \(tunnel)") }
    func session(_ session: SessionLoop, goingAway reason: Refusal) { told.append("peer goes away") }
    func session(_ session: SessionLoop, lost carrier: LostCarrier) { told.append("carrier lost") }
    func session(_ session: SessionLoop, renewWithin seconds: UInt32) { told.append("renew within \(seconds)") }
    func sessionRoomChanged(_ session: SessionLoop) {}
    func sessionNumbersRunOut(_ session: SessionLoop) { told.append("used up") }

    func session(_ session: SessionLoop, ended end: SessionEnd) {
        let why =
            switch end {
            case .local: "by this end"
            case .peer: "by the peer"
            case .violation: "violation"
            case .carrierLost: "carrier lost"
            case .abandoned: "no new carrier"
            case .forgotten: "forgotten"
            }
        told.append("ended: \(why)")
    }
}
