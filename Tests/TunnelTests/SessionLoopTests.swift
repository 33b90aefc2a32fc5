import Logging
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

/// When a client's session writes its carrier and its services' sockets, turned by hand.
@Suite("A client's session, its carrier and its sockets")
struct SessionLoopTests {
    @Test("what has come for a service is written to it before the next one is connected to")
    func bytesBeforeTheNextService() throws {
        let scene = try Scene()
        try scene.receive(.open(2), .data(2, "first"))
        #expect(try scene.services.sent(to: 2) == "")
        try scene.receive(.open(4))
        #expect(scene.services.writtenAtDial == ["", "first"])
    }

    @Test("so it is thirty-two times within one read: a peer that sends single bytes must not cost a write for each")
    func flood() throws {
        let scene = try Scene()
        try scene.receive(.open(2))
        for number in 1...40 { try scene.receive(.data(2, "x"), .open(2 + 2 * UInt32(number))) }
        let written = scene.services.writtenAtDial.dropFirst()
        #expect(written.prefix(32).allSatisfy { $0 == "x" } && written.dropFirst(32).allSatisfy(\.isEmpty))
        scene.session.carrierReadCompleted()
        #expect(try scene.services.sent(to: 2) == "xxxxxxxx")
    }

    @Test("inputs that arrive while actions are performed wait until all of them are done")
    func neverEntered() throws {
        let scene = try Scene()
        try scene.receive(.open(2), .open(4))
        // The role ends the session while it is told of the third stream, with a fourth one behind it.
        scene.services.onOpen = { session in
            session.run(.end(Refusal(.goingAway, "enough")))
            return session.isEnded
        }
        try scene.receive(.open(6))
        #expect(scene.services.seenEnded == [false], "the end waited for the action")
        #expect(scene.session.isEnded && scene.services.ends == 1)
        try scene.receive(.open(8))
        #expect(scene.services.opened == [2, 4, 6])
    }

    @Test("what sockets report while they are flushed is applied in the same run, before frames are sent")
    func reportsWhileFlushing() throws {
        let scene = try Scene()
        try scene.receive(.open(2))
        scene.session.carrierReadCompleted()
        _ = scene.carrier.takeSent()
        // Half a window and more: the socket takes it at once, so that CREDIT leaves with the frames of this run.
        try scene.receive(.data(2, String(repeating: "x", count: 40_000)))
        #expect(scene.carrier.takeSent() == [])
        scene.session.carrierReadCompleted()
        #expect(scene.carrier.takeSent().contains(.credit))
    }

    /// A session without a server: what comes is put into it, what it sends is noted.
    private struct Scene {
        let carrier = NotedCarrier()
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

        func receive(_ frames: Arriving...) throws {
            for frame in frames { session.carrier(received: try frame.inbound()) }
        }
    }
}

/// A frame on its way to a client.
private struct Arriving {
    let frame: OutboundFrame

    static func open(_ stream: UInt32) -> Arriving {
        Arriving(frame: OpenRequest(tunnel: 0, visitor: "192.0.2.1:1").frame(StreamID(stream)))
    }

    static func data(_ stream: UInt32, _ text: String) -> Arriving {
        Arriving(frame: OutboundFrame(.data, StreamID(stream), ByteBuffer(string: text)))
    }

    func inbound() throws -> InboundFrame {
        var assembler = FrameAssembler()
        assembler.isAdmitted = true
        var message = ByteBuffer()
        frame.header.write(into: &message)
        message.writeImmutableBuffer(frame.payload)
        return try #require(try assembler.receive(message, isLast: true))
    }
}

/// Notes what leaves, at each flush.
private final class NotedCarrier: CarrierLink {
    private var waiting: [FrameType] = []
    private var sent: [FrameType] = []
    var isWritable: Bool { true }
    var lastBytes: CarrierTimes { CarrierTimes() }

    func send(_ frame: OutboundFrame) { waiting.append(frame.header.type) }

    func flush() {
        sent += waiting
        waiting = []
    }

    /// What has left since this was asked last.
    func takeSent() -> [FrameType] {
        defer { sent = [] }
        return sent
    }

    func admit(_ receiver: any CarrierReceiver) {}
    func disown() {}
    func close(_ code: CloseCode, reason: String) {}
    func abort(_ reason: String) {}
}

/// Services that are connected to at once.
private final class EmbeddedServices: ClientSessionOwner {
    let loop = EmbeddedEventLoop()
    private var channels: [StreamID: EmbeddedChannel] = [:]
    private let statistics = TunnelStatistics(tunnel: 0, role: .client, totals: TrafficTotals())
    /// Called when a stream is opened, once set; its results are noted.
    var onOpen: ((SessionLoop) -> Bool)?
    private(set) var seenEnded: [Bool] = []
    private(set) var opened: [UInt32] = []
    private(set) var ends = 0
    /// What had been written to the first service since the last dial, at each.
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

    /// What has been written to a service since this was asked last.
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
    func session(_ session: SessionLoop, lost carrier: LostCarrier) {}
    func session(_ session: SessionLoop, renewWithin seconds: UInt32) {}
    func sessionRoomChanged(_ session: SessionLoop) {}
    func session(_ session: SessionLoop, ended end: SessionEnd) { ends += 1 }
}
