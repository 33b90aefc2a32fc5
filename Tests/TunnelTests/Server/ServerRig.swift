import Crypto
import Logging
import NIOCore
import NIOEmbedded
import NetworkAddress
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

/// A server's session with fake ports, sockets and carriers, on an event loop whose time the test advances.
final class ServerRig {
    private let peerFrames = PeerFrames()
    let loop: EmbeddedEventLoop
    let binder = FakePortBinder()
    let network: FakeNetwork
    let resources: ServerResources
    let log = CollectedLog()
    let share: ClientShare
    let session: ServerSession
    let handle: ServerSessionHandle
    /// The latest carrier of the session.
    private(set) var carrier = FakeCarrier()
    /// Whether the session has ended and its ports are free.
    private(set) var isReleased = false
    /// What the operator sees of the client after that.
    private(set) var farewell: GoneClients.Entry?
    private var configuration: ServerConfiguration

    static let rights = ClientRights(name: "alice", verifier: Identity.alice.credentials.verifier)

    /// - Parameters:
    ///   - other: a session of the same server.
    ///   - client: the client's id.
    ///   - instance: the client's process.
    ///   - number: distinguishes sessions of one process.
    init(
        beside other: ServerRig? = nil,
        client: UInt8 = 1,
        instance: UInt8 = 1,
        number: UInt8? = nil,
        _ change: (inout ServerConfiguration) -> Void = { _ in },
        rights changeRights: (inout ClientRights) -> Void = { _ in }
    ) {
        let loop = other?.loop ?? EmbeddedEventLoop()
        self.loop = loop
        network = FakeNetwork(loop)
        var configuration = ServerConfiguration()
        configuration.publicAddress = "192.0.2.1"
        configuration.drainTimeout = .seconds(30)
        change(&configuration)
        self.configuration = configuration
        var rights = Self.rights
        changeRights(&rights)
        resources = other?.resources ?? ServerResources(configuration.serverLimits)
        share = resources.shares.join([client])
        let sessionLoop = SessionLoop(
            session: Session(role: .server, limits: configuration.limits, peerWindow: 65_536, seed: 1, now: .now),
            carrier: carrier,
            loop: loop,
            pollsBusily: false,
            memory: resources.memory,
            logger: log.logger
        )
        session = ServerSession(
            sessionLoop: sessionLoop,
            rights: rights,
            configuration: configuration,
            resources: resources,
            share: share,
            binder: binder,
            network: network,
            clock: Self.clock(loop),
            logger: log.logger,
            loop: loop
        )
        handle = ServerSessionHandle(
            session,
            id: [client, instance] + (number.map { [$0] } ?? []),
            keys: SessionKeys(resume: SymmetricKey(size: .bits256)),
            owner: PortOwner(client: [client], instance: [instance]),
            facts: SessionFacts(number: 1, client: "alice", name: "alice", software: "test", version: 1),
            loop: loop
        )
        session.start(handle, from: "198.51.100.7:50000") { [weak self] _, farewell in
            self?.isReleased = true
            self?.farewell = farewell
        }
        loop.run()
    }

    /// Clocks that follow the event loop. The wall clock begins at 1,000,000 s.
    static func clock(_ loop: EmbeddedEventLoop) -> ServerClock {
        ServerClock(
            now: { Instant(nanoseconds: loop.now.uptimeNanoseconds) },
            unixSeconds: { 1_000_000 + Int64(loop.now.uptimeNanoseconds / 1_000_000_000) }
        )
    }

    var isEnded: Bool { session.sessionLoop.isEnded }

    /// Advances the time.
    func advance(_ seconds: Double) { loop.advanceTime(by: .nanoseconds(Int64(seconds * 1e9))) }

    /// Changes the configuration or the client's rights, as a reload does.
    func update(
        _ change: (inout ServerConfiguration) -> Void = { _ in },
        rights changeRights: (inout ClientRights) -> Void = { _ in }
    ) {
        change(&configuration)
        var rights = Self.rights
        changeRights(&rights)
        session.update(rights, configuration)
        loop.run()
    }

    // MARK: The client

    func receive(_ frames: PeerFrame...) throws {
        for frame in frames { carrier.receiver?.carrier(received: try #require(try peerFrames.arrived(frame))) }
        carrier.receiver?.carrierReadCompleted()
        loop.run()
    }

    /// Receives a request for a port.
    func bind(_ port: UInt16, tunnel: UInt16 = 0, _ visitors: RequestedVisitorLimits = .init()) throws {
        let request = BindRequest(tunnel: tunnel, address: "", port: port, visitors: visitors)
        try receive(PeerFrame(0x10, 0, request.frame.payload))
    }

    /// The frames sent to the client since the last call, without PING, PONG and ACK.
    func sent() throws -> [String] {
        loop.run()
        return try carrier.takeFrames().compactMap { frame in
            let (stream, payload) = (frame.header.stream.rawValue, frame.payload)
            switch frame.header.type {
            case .ping, .pong, .ack: return nil
            case .bound: return "BOUND \(try Binding(payload).tunnel) at \(try Binding(payload).port)"
            case .unbound:
                return "UNBOUND \(try Refusal.tunnel(payload)): \(try Refusal(payload, of: .unbound).text)"
            case .goAway: return "GOAWAY: \(try Refusal(payload, of: .goAway).text)"
            case .open:
                let request = try OpenRequest(payload, from: .server)
                let place = request.publicAddress.isEmpty ? "" : " at \(request.publicAddress)"
                return "OPEN \(stream) for \(request.visitor)\(place)"
            default: return "\(frame.header.type) \(stream)"
            }
        }
    }

    /// Loses the carrier.
    func loseCarrier() {
        carrier.receiver?.carrierLost(CarrierLoss(description: "cut"))
        loop.run()
    }

    /// Resumes the session on another carrier.
    ///
    /// - Parameters:
    ///   - lane: the lane that gets the carrier.
    ///   - received: the client's count of received frames.
    func resume(
        lane: UInt32 = 0,
        epoch: UInt64,
        received: UInt64,
        from origin: CarrierOrigin = "198.51.100.8:50001"
    ) -> Refusal? {
        let next = FakeCarrier()
        let resumption = Resumption(session: [1], lane: LaneID(lane), epoch: epoch, received: received, nonce: [])
        let proof = ServerHandshake.Resumed(
            resumption: resumption,
            transcript: Transcript(),
            key: handle.keys.resume,
            handshake: nil
        )
        let refusal = session.carriers.resume(next, from: origin, proof)
        if refusal == nil { carrier = next }
        loop.run()
        return refusal
    }

    // MARK: Forwards

    /// The carrier takes frames, so that those leave that would wait for the next ACK.
    func makeCarrierWritable() {
        carrier.receiver?.carrierBecameWritable()
        loop.run()
    }

    /// The client opens a stream to a destination.
    func open(_ stream: UInt32, to destination: String) throws {
        let request = OpenRequest(destination: destination, visitor: "127.0.0.1:50000")
        try receive(PeerFrame(0x20, stream, request.frame(StreamID(stream)).payload))
    }

    // MARK: Visitors

    /// Connects a visitor to a tunnel's port.
    func visitor(
        at tunnel: UInt16 = 0,
        from address: String = "203.0.113.9",
        port: Int = 40_001
    ) throws -> FakeSocket {
        let socket = FakeSocket(loop: loop)
        socket.remoteAddress = try SocketAddress(ipAddress: address, port: port)
        socket.localAddress = try SocketAddress(ipAddress: "192.0.2.1", port: 8_022)
        let listener = try #require(binder.listeners.last { $0.tunnel == tunnel })
        socket.isConnected = false
        try listener.accept(socket)
        socket.isConnected = true
        socket.pipeline.fireChannelActive()
        loop.run()
        return socket
    }

    var pendingVisitors: Int { session.admission.pending.count }
}
