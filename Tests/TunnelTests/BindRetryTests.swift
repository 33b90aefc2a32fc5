import Logging
import Mux
import NIOCore
import NIOEmbedded
import Testing

@testable import TunnelClient
@testable import TunnelCore

/// Requests for ports that the server has refused, on an event loop whose time the test advances.
@Suite("Retries of refused ports") struct BindRetryTests {
    private static let service = TunnelSpec.Target.inProcess(
        InProcessService(name: "none") { $0.eventLoop.makeSucceededVoidFuture() }
    )
    private static let first = TunnelSpec(port: 8_022, to: service)

    private let loop = EmbeddedEventLoop()
    private let carrier = FakeCarrier()
    private let tunnels: TunnelSet
    private let progress = ClientProgress(tunnels: [])
    private let session: ClientSession

    init() {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        tunnels = TunnelSet([Self.first, TunnelSpec(port: 8_023, to: Self.service)])
        session = ClientSession(
            sessionLoop: SessionLoop(
                session: Session(role: .client, peerWindow: 65_536, seed: 1, now: .now),
                carrier: carrier,
                loop: loop,
                pollsBusily: false,
                memory: MemoryBudget(),
                logger: logger
            ),
            tunnels: tunnels,
            listeners: ForwardListeners(
                ForwardSet([]),
                loop: loop,
                limits: ClientLimits(),
                totals: TrafficTotals(),
                logger: logger
            ) { _ in },
            limits: ClientLimits(),
            totals: TrafficTotals(),
            progress: progress,
            logger: logger
        )
        session.start { _ in }
    }

    /// The number of requests since the last call.
    private func requests() -> Int {
        loop.run()
        return carrier.takeFrames().count { $0.header.type == .bind }
    }

    /// Refuses a tunnel's port as the server, by default because it is in use.
    private func refuse(_ tunnel: UInt8, code: UInt8 = 9) throws {
        // The code, an empty text, and the tunnel's number.
        let fields = ByteBuffer(bytes: [1, 0, 4, 0, 0, 0, code, 2, 0, 0, 4, 0, 2, 0, tunnel])
        try receive(PeerFrame(0x12, 0, fields))
    }

    private func receive(_ frame: PeerFrame) throws {
        carrier.receiver?.carrier(received: try #require(try PeerFrames().arrived(frame)))
        carrier.receiver?.carrierReadCompleted()
    }

    @Test("Repeated requests of the operator retry each refused port once")
    func onePerPort() throws {
        #expect(requests() == 2)
        for tunnel: UInt8 in [0, 1] { try refuse(tunnel) }
        for _ in 0..<20 {
            session.askForPorts()
            #expect(requests() == 2)
            for tunnel: UInt8 in [0, 1] { try refuse(tunnel) }
        }
        loop.advanceTime(by: .seconds(1))
        #expect(requests() == 2)
    }

    @Test("A removed tunnel is not requested again")
    func removed() throws {
        #expect(requests() == 2)
        for tunnel: UInt8 in [0, 1] { try refuse(tunnel) }
        #expect(tunnels.remove(Self.first))
        session.tunnelsChanged()
        loop.advanceTime(by: .seconds(1))
        #expect(requests() == 1)
    }

    @Test("A session whose server is stopping requests no port and reports none")
    func leaving() throws {
        #expect(requests() == 2)
        try refuse(0)
        let refusal = progress.now.tunnels.first?.refusal
        #expect(refusal != nil)
        try receive(.goAway())
        // The server answers the other request, and the operator asks for all ports.
        try refuse(1, code: 6)
        session.askForPorts()
        loop.advanceTime(by: .minutes(1))
        #expect(requests() == 0)
        #expect(progress.now.tunnels.map(\.refusal) == [refusal, nil])
    }
}
