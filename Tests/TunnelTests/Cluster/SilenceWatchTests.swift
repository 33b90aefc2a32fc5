import Cluster
import Mux
import NIOCore
import TestSupport
import Testing

@testable import TunnelCore
@testable import TunnelServer

/// What becomes of streams to a server of the cluster that has become silent.
@Suite("A silent server of the cluster")
struct SilenceWatchTests {
    private final class Fixture {
        let rig = Rig(.client)
        let watch: SilenceWatch
        private let link: VisitorLink
        private let silent = Mailbox<Void>()

        init() {
            watch = SilenceWatch(PeerLinkTimes(), on: rig.loop) { [silent] in silent.put(()) }
            link = VisitorLink(visitorLoop: rig.loop, sessionLoop: rig.loop)
        }

        /// How often the server counted as silent.
        var count: Int { silent.all.count }

        /// Opens a stream whose answer is expected.
        func open() -> RoutedStream {
            let statistics = TunnelStatistics(tunnel: 0, role: .server, totals: TrafficTotals())
            let stream = RoutedStream(
                rig.session,
                link,
                policy: StreamPolicy(),
                identity: StreamIdentity(visitor: "192.0.2.1", statistics: statistics),
                logger: CollectedLog().logger
            ) {}
            watch.expectAnswer(to: stream, in: rig.session)
            return stream
        }

        /// The PINGs since the last call.
        func pings() -> [OutboundFrame] {
            rig.loop.run()
            return rig.carrier.takeFrames().filter { $0.header.type == .ping }
        }

        /// The server answers a PING.
        func pong(_ ping: OutboundFrame) throws {
            var wire = ByteBuffer()
            OutboundFrame(.pong, .session, ping.payload).writeHead(into: &wire)
            wire.writeImmutableBuffer(ping.payload)
            var assembler = FrameAssembler()
            assembler.isAdmitted = true
            let pong = try #require(try assembler.receive(wire, isLast: true))
            rig.carrier.receiver?.carrier(received: pong)
            rig.carrier.receiver?.carrierReadCompleted()
            rig.loop.run()
        }
    }

    @Test("A stream without an answer for 500 ms leads to a PING, and goes elsewhere 750 ms later without a PONG")
    func silence() {
        let fixture = Fixture()
        _ = fixture.pings()
        let stream = fixture.open()
        fixture.rig.loop.advanceTime(by: .milliseconds(499))
        #expect(fixture.pings().isEmpty)
        fixture.rig.loop.advanceTime(by: .milliseconds(1))
        #expect(fixture.pings().count == 1)
        fixture.rig.loop.advanceTime(by: .milliseconds(749))
        #expect(stream.isLive && fixture.count == 0)
        fixture.rig.loop.advanceTime(by: .milliseconds(1))
        #expect(!stream.isLive && fixture.count == 1)
    }

    @Test("A server that answers the PING keeps the stream")
    func life() throws {
        let fixture = Fixture()
        _ = fixture.pings()
        let stream = fixture.open()
        fixture.rig.loop.advanceTime(by: .milliseconds(500))
        let pings = fixture.pings()
        try fixture.pong(try #require(pings.first))
        fixture.rig.loop.advanceTime(by: .milliseconds(750))
        #expect(stream.isLive && fixture.count == 0)
    }

    @Test("A stream that was answered leads to no PING")
    func answered() {
        let fixture = Fixture()
        _ = fixture.pings()
        let stream = fixture.open()
        stream.accepted()
        fixture.rig.loop.advanceTime(by: .seconds(5))
        #expect(fixture.pings().isEmpty && stream.isLive && fixture.count == 0)
    }
}
