import Cluster
import Logging
import Metrics
import Mux
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import TunnelCore
@testable import TunnelServer

/// The link to another server, with a dialler that the test plays.
@Suite("The link to another server")
struct PeerLinkTests {
    /// Keeps the owners of all attempts.
    private struct FakeDialler: PeerDialler {
        struct Connection: PeerConnection {
            let closed: Mailbox<Int>
            let number: Int

            func close() { closed.put(number) }
        }

        let owners = Mailbox<NIOLoopBound<any PeerConnectionOwner>>()
        /// The numbers of connections that were closed.
        let closed = Mailbox<Int>()

        func connect(to url: String, _ owner: NIOLoopBound<any PeerConnectionOwner>) -> any PeerConnection {
            owners.put(owner)
            return Connection(closed: closed, number: owners.all.count - 1)
        }

        func owner(_ number: Int) -> any PeerConnectionOwner { owners.all[number].value }
    }

    /// Keeps the ends of all streams.
    private final class FakeOpener: StreamOpener {
        let sessionLoop: SessionLoop
        var ends: [any StreamEnd] = []

        init(_ session: SessionLoop) { sessionLoop = session }

        func open(_ end: any StreamEnd, _ request: OpenRequest) { ends.append(end) }
    }

    private final class Fixture {
        let rig = Rig(.client)
        let dialler = FakeDialler()
        let opener: FakeOpener
        let link: PeerLink

        init() {
            opener = FakeOpener(rig.session)
            link = PeerLink(
                to: ServerRecord(ServerID(1), peerURL: "ws://127.0.0.1:1/peer", version: "", since: 0),
                dialler,
                PeerHealth(ServerID(7), in: PeerHealths()),
                totals: TrafficTotals(),
                metrics: ClusterMetrics(factory: NOOPMetricsHandler.instance),
                times: PeerLinkTimes(),
                on: rig.loop,
                logger: CollectedLog().logger
            ) { _ in }
        }

        /// A link whose first session has begun.
        static func open() -> Fixture {
            let fixture = Fixture()
            fixture.link.tell(.clients)
            fixture.dialler.owner(0).connectionBegan(fixture.opener)
            for end in fixture.opener.ends { end.detach() }
            fixture.opener.ends = []
            return fixture
        }
    }

    @Test("The late end of a session that was closed does not touch the next one")
    func lateEnd() {
        let fixture = Fixture.open()
        let (link, dialler) = (fixture.link, fixture.dialler)
        link.close()
        var answers: [Bool?] = []
        link.isAlive([1]) { answers.append($0) }
        #expect(dialler.owners.all.count == 2)
        dialler.owner(0).connectionEnded("it was closed")
        #expect(answers.isEmpty, "the visitor of the next session")
        dialler.owner(0).connectionBegan(fixture.opener)
        #expect(!link.isOpen, "a session that was closed")
        dialler.owner(1).connectionBegan(fixture.opener)
        #expect(link.isOpen && fixture.opener.ends.count == 1)
        fixture.opener.ends.first?.accepted()
        #expect(answers == [true])
        link.close()
        #expect(dialler.closed.all == [0, 1])
    }

    @Test("A question keeps the link open until its answer, and the link closes 60 s later")
    func idle() {
        let fixture = Fixture.open()
        let (link, loop) = (fixture.link, fixture.rig.loop)
        loop.advanceTime(by: .seconds(59))
        #expect(link.isOpen)
        var answers: [Bool?] = []
        link.isAlive([1]) { answers.append($0) }
        loop.advanceTime(by: .seconds(61))
        #expect(link.isOpen && link.streams == 1 && answers.isEmpty)
        fixture.opener.ends.first?.accepted()
        #expect(link.streams == 0 && answers == [true])
        loop.advanceTime(by: .seconds(59))
        #expect(link.isOpen)
        loop.advanceTime(by: .seconds(1))
        #expect(!link.isOpen && fixture.dialler.closed.all == [0])
    }

    @Test("A link that only a report or a datagram has opened closes after 60 s")
    func unused() throws {
        let fixture = Fixture()
        let sender = try SocketAddress(ipAddress: "192.0.2.1", port: 1)
        guard case .refused = fixture.link.flow(.tunnel(1, session: [1]), from: sender) else {
            Issue.record("a flow without a session")
            return
        }
        fixture.dialler.owner(0).connectionBegan(fixture.opener)
        #expect(fixture.link.isOpen)
        fixture.rig.loop.advanceTime(by: .seconds(60))
        #expect(!fixture.link.isOpen)
        let reporting = Fixture.open()
        reporting.rig.loop.advanceTime(by: .seconds(60))
        #expect(!reporting.link.isOpen)
    }

    @Test("A session is not alive if its server says so or is gone, and nothing is known of it if the link is full")
    func answers() {
        for (answer, expected) in [
            ({ $0.accepted() }, true), ({ $0.reset(.moved) }, false), ({ $0.reset(.goingAway) }, false),
            ({ $0.detach() }, false), ({ $0.abort(.busy) }, nil), ({ $0.reset(.busy) }, nil),
            ({ $0.reset(.timeout) }, nil),
        ] as [((any StreamEnd) -> Void, Bool?)] {
            let fixture = Fixture.open()
            var answers: [Bool?] = []
            fixture.link.isAlive([1]) { answers.append($0) }
            for end in fixture.opener.ends { answer(end) }
            #expect(answers == [expected])
            #expect(fixture.link.streams == 0)
        }
    }
}
