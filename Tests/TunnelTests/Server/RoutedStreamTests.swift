import Mux
import NIOCore
import NIOEmbedded
import NetworkAddress
import Testing

@testable import TunnelCore
@testable import TunnelServer

/// The streams of the router's visitors, whose event loop may be another one than the session's.
@Suite("Streams of the router's visitors")
struct RoutedStreamTests {
    /// A session with one tunnel, and the tunnel as the router sees it.
    private func start(
        waiting: Int = 10,
        _ visitors: RequestedVisitorLimits = .init()
    ) throws -> (ServerRig, RouteMember) {
        let rig = ServerRig { $0.serverLimits.waitingVisitors = waiting }
        try rig.bind(8_022, visitors)
        _ = try rig.sent()
        return (rig, try #require(rig.session.ports(rig.session.ports, memberFor: 0)))
    }

    private func open(_ member: RouteMember, _ loop: any EventLoop) -> (VisitorStream, Receiver) {
        let visitor = RoutedVisitor(
            description: "203.0.113.9:40001",
            address: IPAddress("203.0.113.9"),
            publicAddress: "192.0.2.1:80"
        )
        let (stream, receiver) = (VisitorStream.open(to: member, for: visitor, on: loop), Receiver())
        stream.receiver = receiver
        return (stream, receiver)
    }

    /// Runs both event loops until nothing is left to do.
    private func run(_ rig: ServerRig, _ loop: EmbeddedEventLoop) {
        for _ in 0..<5 {
            rig.loop.run()
            loop.run()
        }
    }

    /// The visitor's event loop: the session's, or another one.
    private func loops(_ rig: ServerRig, isSame: Bool) -> EmbeddedEventLoop {
        isSame ? rig.loop : EmbeddedEventLoop()
    }

    @Test("Bytes and the end that a visitor sends at once arrive in their order", arguments: [true, false])
    func order(isSame: Bool) throws {
        let (rig, member) = try start()
        let loop = loops(rig, isSame: isSame)
        let (stream, _) = open(member, loop)
        for text in ["a", "b", "c"] { stream.send(ByteBuffer(string: text)) }
        stream.finish()
        #expect(stream.hasRoom)
        run(rig, loop)
        #expect(try rig.sent() == ["OPEN 2 for 203.0.113.9:40001", "data 2", "end 2"])
        #expect(member.load == 1)
    }

    @Test("A visitor that goes before its stream exists leaves nothing behind", arguments: [true, false])
    func goneBefore(isSame: Bool) throws {
        let (rig, member) = try start()
        let loop = loops(rig, isSame: isSame)
        for hasCarrier in [true, false] {
            if !hasCarrier { rig.loseCarrier() }
            for isReset in [true, false] {
                let (stream, _) = open(member, loop)
                stream.send(ByteBuffer(string: "some"))
                if isReset { stream.reset() } else { stream.leave() }
                run(rig, loop)
                rig.advance(6)
                run(rig, loop)
            }
        }
        #expect(member.load == 0 && rig.session.admission[0]?.gate.visitors == 0)
        #expect(rig.share.connections.load(ordering: .relaxed) == 0)
    }

    @Test("All visitors of a session that ends hear of it", arguments: [true, false])
    func sessionEnds(isSame: Bool) throws {
        let (rig, member) = try start()
        let loop = loops(rig, isSame: isSame)
        let (_, first) = open(member, loop)
        run(rig, loop)
        rig.loseCarrier()
        let (_, second) = open(member, loop)
        run(rig, loop)
        _ = rig.session.end(Refusal(.goingAway, "test"))
        run(rig, loop)
        let (_, third) = open(member, loop)
        run(rig, loop)
        #expect(first.failures.count == 1 && second.failures == [.unavailable] && third.failures == [.unavailable])
        #expect(member.load == 0)
    }

    @Test("Visitors of a session without a carrier wait within its bound, and others are refused at once")
    func bound() throws {
        let (rig, member) = try start(waiting: 2)
        rig.loseCarrier()
        let all = (0..<4).map { _ in open(member, rig.loop) }
        run(rig, rig.loop)
        #expect(rig.pendingVisitors == 2 && member.load == 2)
        #expect(all.map(\.1.failures) == [[], [], [.unavailable], [.unavailable]])
    }

    @Test("A visitor's uploads are read no faster than its tunnel's bandwidth")
    func bandwidth() throws {
        var limits = RequestedVisitorLimits()
        limits.bandwidth = 65_536
        let (rig, member) = try start(limits)
        let (stream, _) = open(member, rig.loop)
        run(rig, rig.loop)
        // The burst, and a window that is not paid for yet.
        var sent = 0
        for _ in 0..<10 {
            while stream.hasRoom {
                stream.send(ByteBuffer(repeating: 0, count: 4_096))
                sent += 4_096
                rig.loop.run()
            }
            // The clock of the rate stands still, so this only lets delays of a second pass.
            rig.advance(0.1)
        }
        #expect(sent <= 65_536 + VisitorStream.window + 2 * 65_536, "\(sent) bytes in one second")
    }
}

/// What a visitor hears of its stream.
private final class Receiver: VisitorStreamReceiver {
    var received = 0
    var failures: [StreamFailure] = []

    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {
        received += bytes.reduce(0) { $0 + $1.readableBytes }
    }

    func streamEnded(_ stream: VisitorStream) {}

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) { failures.append(failure) }

    func streamHasRoom(_ stream: VisitorStream) {}
}
