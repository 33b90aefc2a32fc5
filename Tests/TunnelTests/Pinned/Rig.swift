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

/// One end of a session with fake sockets and a fake carrier, on an event loop that the test runs.
///
/// Tests provide the input of one side and check the output of the other. Only this file depends on the product's
/// types.
final class Rig {
    private let peerFrames = PeerFrames()
    let loop = EmbeddedEventLoop()
    /// The latest carrier of the session.
    private(set) var carrier = FakeCarrier()
    /// The session's reports to its owner, except changes of room: `bound 0`, `carrier lost`, `ended: by the peer`.
    var reports: [String] { owner.reports }
    /// Streams whose pending connect was cancelled.
    var abandonedConnects: [UInt32] { owner.abandonedConnects }

    let session: SessionLoop
    private let owner: RecordingOwner
    private let statistics: TunnelStatistics
    private var pipes: [ObjectIdentifier: StreamPipe] = [:]

    /// Creates a session that has begun, without its first PINGs.
    ///
    /// - Parameter peerWindow: the peer's initial window of a stream, in bytes.
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
        owner = RecordingOwner(statistics)
        if role == .server {
            session.start(owner as any ServerSessionOwner)
        } else {
            session.start(owner as any ClientSessionOwner)
        }
        loop.run()
    }

    // MARK: The peer

    /// Receives the peer's frames in one read of the carrier.
    func receive(_ frames: PeerFrame...) throws {
        for frame in frames { carrier.receiver?.carrier(received: try #require(try peerFrames.arrived(frame))) }
        carrier.receiver?.carrierReadCompleted()
        loop.run()
    }

    /// The frames sent to the peer since the last call.
    func sent(withHousekeeping: Bool = false) -> [String] {
        loop.run()
        return carrier.takeSent(withHousekeeping: withHousekeeping)
    }

    // MARK: Carriers

    /// Loses the carrier.
    func loseCarrier(_ loss: CarrierLoss = CarrierLoss(description: "cut")) {
        carrier.receiver?.carrierLost(loss)
        loop.run()
    }

    /// Resumes the session on a new carrier, on which the peer reports its count of received frames.
    func attachCarrier(peerReceived: UInt64) {
        carrier = FakeCarrier()
        session.run(.attach(carrier, lane: .first, epoch: 1, peerReceived: peerReceived, first: nil))
        loop.run()
    }

    /// Client: opens a further lane on a carrier of its own.
    func openLane() throws -> FakeCarrier {
        let next = FakeCarrier()
        let lane = try #require(session.requestLane())
        session.run(.attach(next, lane: lane, epoch: 1, peerReceived: 0, first: nil))
        loop.run()
        return next
    }

    /// The numbers of the lanes in use.
    var lanes: [UInt32] { laneStates.map(\.lane.rawValue) }
    var laneStates: [SessionLoop.LaneState] { session.laneStates }

    /// Makes the carrier writable.
    func makeCarrierWritable() {
        carrier.isWritable = true
        carrier.receiver?.carrierBecameWritable()
        loop.run()
    }

    /// Prepares a resume on a new carrier. Returns the count of received frames to report to the peer.
    func prepareRenewal() -> UInt64 { session.deferFrames(of: .first) }

    /// Abandons the resume on a new carrier.
    func abandonRenewal() {
        session.run(.takeDeferred(.first))
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

    /// Runs timers that are due by the real clock, which the session's timers use.
    func runDueTimers() { loop.advanceTime(to: .now()) }

    var isEnded: Bool { session.isEnded }
    var streamCount: Int { session.streamCount }
    /// Bytes of the peer that no socket has accepted.
    var bytesForSockets: Int { session.waitingBytes.toDeliver }

    // MARK: Sockets

    static func policy(idle: TimeAmount) -> StreamPolicy { StreamPolicy(idleTimeout: idle) }

    static func policy(bytesPerSecond: Int) -> StreamPolicy {
        StreamPolicy(rateLimits: [RateLimit(bytesPerSecond: bytesPerSecond, now: .now)])
    }

    /// Server: connects a visitor that waits for a stream.
    func waitingVisitor(_ policy: StreamPolicy = .unbounded) throws -> FakeSocket {
        let identity = StreamIdentity(visitor: "192.0.2.1:40001", statistics: statistics)
        let pipe = StreamPipe(session: session, policy: policy, identity: identity, logger: session.logger) { _ in }
        let socket = FakeSocket(loop: loop)
        pipes[ObjectIdentifier(socket)] = pipe
        try socket.pipeline.syncOperations.addHandler(pipe)
        loop.run()
        return socket
    }

    /// Server: opens a stream for a waiting visitor.
    func admit(_ socket: FakeSocket) throws {
        let pipe = try #require(pipes[ObjectIdentifier(socket)])
        let id = session.open(OpenRequest(tunnel: 0, visitor: "192.0.2.1:40001"), pipe)
        pipe.open(try #require(id))
        loop.run()
    }

    /// Server: whether a visitor still waits for its stream.
    func isWaiting(_ socket: FakeSocket) -> Bool { pipes[ObjectIdentifier(socket)]?.isPending ?? false }

    /// Server: connects a visitor whose stream, with this number, the client has accepted.
    func visitor(_ stream: UInt32 = 2, _ policy: StreamPolicy = .unbounded) throws -> FakeSocket {
        let socket = try waitingVisitor(policy)
        try admit(socket)
        try receive(.accept(stream))
        #expect(sent() == ["OPEN \(stream)"])
        return socket
    }

    /// Client: completes the connect of a stream to its service.
    func connect(_ stream: UInt32) throws -> FakeSocket {
        let socket = FakeSocket(loop: loop)
        try socket.pipeline.syncOperations.addHandler(try #require(owner.pipes[StreamID(stream)]))
        loop.run()
        return socket
    }

    /// Client: fails the connect of a stream to its service.
    func refuse(_ stream: UInt32) throws {
        try #require(owner.pipes[StreamID(stream)]).fail(.refused)
        loop.run()
    }

    /// Client: whether the connect of a stream is pending.
    func isConnecting(_ stream: UInt32) -> Bool { owner.pipes[StreamID(stream)]?.isPending ?? false }

    /// Client: receives OPEN for a stream, and completes its connect.
    func service(_ stream: UInt32 = 2) throws -> FakeSocket {
        try receive(.open(stream))
        let socket = try connect(stream)
        // ACCEPT is sent with the next frames, or with the ACK that is due within 20 ms.
        makeCarrierWritable()
        #expect(sent() == ["ACCEPT \(stream)"])
        return socket
    }
}

/// An owner that records the session's reports.
private final class RecordingOwner: ServerSessionOwner, ClientSessionOwner {
    private(set) var reports: [String] = []
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

    func session(_ session: SessionLoop, unbind tunnel: UInt16) { reports.append("unbind \(tunnel)") }
    func session(_ session: SessionLoop, state: TunnelState) { reports.append("state \(state.tunnel)") }
    func session(_ session: SessionLoop, bind request: BindRequest) { reports.append("bind \(request.tunnel)") }
    func session(_ session: SessionLoop, bound binding: Binding) { reports.append("bound \(binding.tunnel)") }
    func session(_ session: SessionLoop, unbound tunnel: UInt16, _: Refusal) { reports.append("unbound \(tunnel)") }
    func session(_ session: SessionLoop, goingAway reason: Refusal) { reports.append("peer goes away") }
    func session(_ session: SessionLoop, lost carrier: LostCarrier) { reports.append("carrier lost") }
    func session(_ session: SessionLoop, lost carrier: LostCarrier, of lane: LaneID) {
        reports.append("lost lane \(lane)")
    }
    func session(_ session: SessionLoop, left lane: LaneID) { reports.append("left lane \(lane)") }
    func session(_ session: SessionLoop, renewWithin seconds: UInt32) { reports.append("renew within \(seconds)") }
    func sessionRoomChanged(_ session: SessionLoop) {}
    func sessionNumbersRunOut(_ session: SessionLoop) { reports.append("used up") }

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
        reports.append("ended: \(why)")
    }
}
