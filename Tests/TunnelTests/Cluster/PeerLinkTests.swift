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
                PeerHealth(),
                totals: TrafficTotals(),
                metrics: ClusterMetrics(factory: NOOPMetricsHandler.instance),
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
}
