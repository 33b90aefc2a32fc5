import Logging
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

/// The writes of a client's session to its carrier and its services, on an event loop that the test runs.
@Suite("A client's session, its carrier and its sockets")
struct SessionLoopTests {
    @Test("Bytes for a service are written before the next service is connected")
    func bytesBeforeTheNextService() throws {
        let rig = try ClientRig()
        try rig.receive(.open(2), .data(2, "first"))
        #expect(try rig.services.sent(to: 2) == "")
        try rig.receive(.open(4))
        #expect(rig.services.writtenAtDial == ["", "first"])
    }

    @Test("Within one read there are at most 32 such writes, so single bytes do not cost a write each")
    func flood() throws {
        let rig = try ClientRig()
        try rig.receive(.open(2))
        for number in 1...40 { try rig.receive(.data(2, "x"), .open(2 + 2 * UInt32(number))) }
        let written = rig.services.writtenAtDial.dropFirst()
        #expect(written.prefix(32).allSatisfy { $0 == "x" } && written.dropFirst(32).allSatisfy(\.isEmpty))
        rig.session.run(.carrierReadCompleted)
        #expect(try rig.services.sent(to: 2) == "xxxxxxxx")
    }

    @Test("Inputs that arrive while actions are performed wait until all actions are done")
    func neverEntered() throws {
        let rig = try ClientRig()
        try rig.receive(.open(2), .open(4))
        // The owner ends the session in the report of the third stream, before the fourth one.
        rig.services.onOpen = { session in
            session.run(.end(Refusal(.goingAway, "enough")))
            return session.isEnded
        }
        try rig.receive(.open(6))
        #expect(rig.services.seenEnded == [false], "the end waited for the action")
        #expect(rig.session.isEnded && rig.services.ends == 1)
        try rig.receive(.open(8))
        #expect(rig.services.opened == [2, 4, 6])
    }

    @Test("Events of sockets during their flush are applied in the same run, before frames are sent")
    func reportsWhileFlushing() throws {
        let rig = try ClientRig()
        try rig.receive(.open(2))
        rig.session.run(.carrierReadCompleted)
        _ = rig.carrier.takeSent()
        // The socket accepts more than half a window at once, so CREDIT is sent with the frames of this run.
        try rig.receive(.data(2, String(repeating: "x", count: 40_000)))
        #expect(rig.carrier.takeSent() == [])
        rig.session.run(.carrierReadCompleted)
        #expect(rig.carrier.takeSent().contains(.credit))
    }

    @Test("A carrier holds little while there is a flow, and so does the one after it")
    func fewUnsentBytes() throws {
        let rig = try ClientRig()
        rig.session.run(.carrierReadCompleted)
        #expect(rig.carrier.unsentLimit == UnsentLimit.first)
        let request = OpenRequest(destination: "192.0.2.1:53", kind: .udp, visitor: "127.0.0.1:40001")
        let flow = try #require(rig.session.open(request, SilentFlow()))
        rig.services.loop.run()
        #expect(rig.carrier.unsentLimit == UnsentLimit.least)
        let next = RecordingCarrier()
        rig.session.run(.attach(next, lane: .first, epoch: 1, peerReceived: 0, first: nil))
        #expect(next.unsentLimit == UnsentLimit.least)
        rig.session.run(.reset(flow, .timeout))
        rig.services.loop.run()
        #expect(next.unsentLimit == UnsentLimit.first)
    }

    /// A session without a server, with a recording carrier.
    private struct ClientRig {
        let carrier = RecordingCarrier()
        let services = EmbeddedServices()
        let session: SessionLoop

        init() throws {
            session = SessionLoop(
                session: Session(role: .client, peerWindow: 65_536, seed: 1, now: .now),
                carrier: carrier,
                loop: services.loop,
                pollsBusily: false,
                memory: MemoryBudget(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            session.start(services)
        }

        func receive(_ frames: IncomingFrame...) throws {
            for frame in frames { session.run(.frame(try frame.inbound(), .first)) }
        }
    }
}

/// A frame for a client.
private struct IncomingFrame {
    let frame: OutboundFrame

    static func open(_ stream: UInt32) -> IncomingFrame {
        IncomingFrame(frame: OpenRequest(tunnel: 0, visitor: "192.0.2.1:1").frame(StreamID(stream)))
    }

    static func data(_ stream: UInt32, _ text: String) -> IncomingFrame {
        IncomingFrame(frame: OutboundFrame(.data, StreamID(stream), ByteBuffer(string: text)))
    }

    func inbound() throws -> InboundFrame {
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        var message = ByteBuffer()
        frame.writeHead(into: &message)
        message.writeImmutableBuffer(frame.payload)
        return try #require(try assembler.receive(message, isLast: true))
    }
}

/// A flow without a socket.
private final class SilentFlow: DatagramFlow {
    let cost = 1_000
    func deliver(_ datagram: ByteBuffer) {}
    func flush() {}
    func ended(_ code: ResetCode) {}
}

/// Records the frames at each flush.
private final class RecordingCarrier: CarrierLink {
    private var waiting: [FrameType] = []
    private var sent: [FrameType] = []
    var isWritable: Bool { true }
    var unsentLimit: Int?
    var retransmitted: UInt32?
    var lastBytes: CarrierTimes { CarrierTimes() }

    func send(_ frame: OutboundFrame) { waiting.append(frame.header.type) }
    func open(_ opening: CarrierOpening) { send(opening.frame) }

    func flush() {
        sent += waiting
        waiting = []
    }

    /// The frames since the last call.
    func takeSent() -> [FrameType] {
        defer { sent = [] }
        return sent
    }

    func admit(_ receiver: any CarrierReceiver) {}
    func disown() {}
    func close(_ code: CloseCode, reason: String) {}
    func abort(_ reason: String) {}
}

/// Services with immediate connects.
private final class EmbeddedServices: ClientSessionOwner {
    let loop = EmbeddedEventLoop()
    private var channels: [StreamID: EmbeddedChannel] = [:]
    private let statistics = TunnelStatistics(tunnel: 0, role: .client, totals: TrafficTotals())
    /// Called when a stream is opened; its results are recorded.
    var onOpen: ((SessionLoop) -> Bool)?
    private(set) var seenEnded: [Bool] = []
    private(set) var opened: [UInt32] = []
    private(set) var ends = 0
    /// The bytes written to the first service since the previous connect, for each connect.
    private(set) var writtenAtDial: [String] = []

    func session(_ session: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        opened.append(stream.rawValue)
        if let onOpen { seenEnded.append(onOpen(session)) }
        writtenAtDial.append((try? sent(to: 2)) ?? "")
        let pipe = StreamPipe(
            session: session,
            stream: stream,
            identity: StreamIdentity(visitor: visit.visitor, statistics: statistics),
            logger: session.logger
        ) { pipe in
            pipe.open(stream)
            session.run(.accept(stream))
        }
        session.attach(pipe, to: stream)
        let channel = EmbeddedChannel(loop: loop)
        channels[stream] = channel
        if let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 1) {
            channel.connect(to: address, promise: nil)
        }
        try? channel.pipeline.syncOperations.addHandler(pipe)
    }

    /// The bytes written to a service since the last call.
    func sent(to stream: UInt32) throws -> String {
        var text = ""
        while let bytes = try channels[StreamID(stream)]?.readOutbound(as: ByteBuffer.self) {
            text += String(buffer: bytes)
        }
        return text
    }

    func session(_ session: SessionLoop, bound binding: Binding) {}
    func session(_ session: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal) {}
    func session(_ session: SessionLoop, goingAway reason: Refusal) {}
    func session(_ session: SessionLoop, lost carrier: LostCarrier, of lane: LaneID) {}
    func session(_ session: SessionLoop, left lane: LaneID) {}
    func session(_ session: SessionLoop, lost carrier: LostCarrier) {}
    func session(_ session: SessionLoop, renewWithin seconds: UInt32) {}
    func sessionRoomChanged(_ session: SessionLoop) {}
    func sessionNumbersRunOut(_ session: SessionLoop) {}
    func session(_ session: SessionLoop, ended end: SessionEnd) { ends += 1 }
}
