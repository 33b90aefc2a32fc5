import Logging
import NIOCore
import NIOEmbedded
import NetworkAddress
import ProxyConnect
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore

/// Connections of local programs with fake sockets and a fake carrier, on an event loop that the test runs.
@Suite("Streams of a client's forwards")
struct ForwardStreamsTests {
    private let loop = EmbeddedEventLoop()
    private let carrier = FakeCarrier()
    private let statistics = TunnelStatistics(tunnel: 0, role: .server, totals: TrafficTotals())
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// The streams of a session with room for two connections that wait.
    private func streams(
        _ change: (inout MuxLimits, inout ClientLimits) -> Void = { _, _ in }
    ) -> ForwardStreams {
        var (limits, clientLimits) = (MuxLimits(), ClientLimits())
        clientLimits.waitingConnections = 2
        change(&limits, &clientLimits)
        let sessionLoop = SessionLoop(
            session: Session(role: .client, limits: limits, peerWindow: 65_536, seed: 1, now: .now),
            carrier: carrier,
            loop: loop,
            pollsBusily: false,
            memory: MemoryBudget(),
            logger: logger
        )
        sessionLoop.start(NoOwner() as any ClientSessionOwner)
        return ForwardStreams(sessionLoop, clientLimits, logger: logger)
    }

    /// A program's connection that was accepted.
    private func accepted(_ streams: ForwardStreams) -> FakeSocket {
        let socket = FakeSocket(loop: loop)
        streams.accepted(socket)
        return socket
    }

    private func open(_ streams: ForwardStreams, _ socket: FakeSocket, isSocks: Bool = false) throws {
        let destination = try #require(Destination("db.internal:5432"))
        let answer: (StreamPipe.StreamAnswer) -> ByteBuffer? = { ByteBuffer(string: "\(SocksReply($0))") }
        try streams.open(
            socket,
            to: destination,
            from: "127.0.0.1:50000",
            statistics,
            answer: isSocks ? answer : nil
        )
        loop.run()
    }

    @Test(
        "A connection counts from its accept until it has a stream or is closed, also before its SOCKS request; an association does not"
    )
    func room() throws {
        let streams = streams()
        var changes = 0
        streams.onRoomChange = { changes += 1 }
        let first = accepted(streams)
        #expect(streams.hasRoom)
        let second = accepted(streams)
        #expect(!streams.hasRoom && changes == 1)
        try open(streams, first)
        #expect(streams.hasRoom && changes == 2)
        let associated = accepted(streams)
        #expect(!streams.hasRoom && changes == 3)
        streams.served(ObjectIdentifier(associated))
        #expect(streams.hasRoom && changes == 4)
        let third = accepted(streams)
        #expect(!streams.hasRoom)
        for socket in [second, third] { socket.close(promise: nil) }
        loop.run()
        #expect(streams.hasRoom && changes == 6)
        for socket in [first, associated] { socket.close(promise: nil) }
        loop.run()
        #expect(changes == 6)
    }

    @Test("A connection whose wait for a stream expires makes room for the next one")
    func expiry() throws {
        let streams = streams { $1.waitingTime = .nanoseconds(1) }
        carrier.receiver?.carrierLost(CarrierLoss(description: "cut"))
        let sockets = (0..<2).map { _ in accepted(streams) }
        for socket in sockets { try open(streams, socket) }
        var hasRoom: [Bool] = []
        streams.onRoomChange = { hasRoom.append(streams.hasRoom) }
        #expect(!streams.hasRoom)
        loop.advanceTime(to: .now() + .seconds(1))
        #expect(sockets.allSatisfy { $0.farSide == "<RST>" })
        #expect(hasRoom == [true])
    }

    // MARK: SOCKS

    @Test("A SOCKS program whose stream is not accepted in time gets a reply, and is closed")
    func notAccepted() throws {
        let streams = streams { limits, _ in limits.openTimeout = .nanoseconds(1) }
        let socket = accepted(streams)
        try open(streams, socket, isSocks: true)
        #expect(carrier.takeSent() == ["OPEN 1"])
        loop.advanceTime(to: .now() + .seconds(1))
        #expect(socket.farSide == "time to live expired (reply 6)<FIN>")
        socket.farSideSendsFIN()
        #expect(socket.isClosed)
    }

    @Test("A SOCKS program for which no stream is opened gets a reply, and is closed")
    func notOpened() throws {
        let streams = streams { $1.waitingTime = .nanoseconds(1) }
        carrier.receiver?.carrierLost(CarrierLoss(description: "cut"))
        let sockets = (0..<3).map { _ in accepted(streams) }
        for socket in sockets { try open(streams, socket, isSocks: true) }
        #expect(sockets[2].farSide == "general failure (reply 1)<FIN>", "two may wait")
        #expect(sockets.prefix(2).allSatisfy { $0.farSide.isEmpty })
        loop.advanceTime(to: .now() + .seconds(1))
        #expect(sockets.prefix(2).allSatisfy { $0.farSide == "time to live expired (reply 6)<FIN>" })
        for socket in sockets { socket.farSideSendsFIN() }
        loop.run()
        #expect(sockets.allSatisfy(\.isClosed) && streams.hasRoom)
    }

    @Test("A SOCKS program that has gone while its stream could not be opened is closed")
    func goneMeanwhile() throws {
        let streams = streams()
        carrier.receiver?.carrierLost(CarrierLoss(description: "cut"))
        let sockets = (0..<2).map { _ in accepted(streams) }
        for socket in sockets { try open(streams, socket, isSocks: true) }
        sockets[0].farSideSendsRST()
        loop.run()
        #expect(sockets[0].isClosed)
        streams.stop()
        #expect(sockets[1].farSide == "general failure (reply 1)<FIN>")
    }
}

/// A session's owner that does nothing.
final class NoOwner: ClientSessionOwner {
    func session(_ sessionLoop: SessionLoop, bound binding: Binding) {}
    func session(_ sessionLoop: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal) {}
    func session(_ sessionLoop: SessionLoop, renewWithin seconds: UInt32) {}
    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ request: OpenRequest) {}
    func sessionNumbersRunOut(_ sessionLoop: SessionLoop) {}
    func sessionRoomChanged(_ sessionLoop: SessionLoop) {}
    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier) {}
    func session(_ sessionLoop: SessionLoop, lost carrier: LostCarrier, of lane: LaneID) {}
    func session(_ sessionLoop: SessionLoop, left lane: LaneID) {}
    func session(_ sessionLoop: SessionLoop, goingAway reason: Refusal) {}
    func session(_ sessionLoop: SessionLoop, ended end: SessionEnd) {}
}
