import Logging
import Mux
import NIOCore
import NIOEmbedded
import NetworkAddress
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("The public ports of a session")
struct PublicPortsTests {
    private let rig = Rig()

    /// The ports of one session, with a fake binder.
    private final class Rig: PublicPortsOwner {
        let loop = EmbeddedEventLoop()
        let directory = PortDirectory()
        let binder = FakePortBinder()
        let holder: FakePortHolder
        let ports: PublicPorts
        /// The reports since the last call.
        private var reports: [String] = []

        init(cluster: FakeClusterDirectory? = nil, _ change: (inout ServerLimits) -> Void = { _ in }) {
            var limits = ServerLimits()
            change(&limits)
            holder = FakePortHolder("alice", client: 1, on: loop)
            ports = PublicPorts(
                directory: directory,
                cluster: cluster,
                publicAddresses: ["192.0.2.1"],
                binder: binder,
                clock: ServerClock(now: { Instant(nanoseconds: 100_000_000_000) }),
                limits: limits,
                dropped: TrafficTotals().metrics.droppedDatagrams,
                refusals: LogThrottle(lines: 100),
                logger: CollectedLog().logger,
                loop: loop
            )
            ports.start(holder, self)
        }

        func bind(
            _ port: UInt16,
            tunnel: UInt16 = 0,
            on address: String = "192.0.2.1",
            allowed: ClosedRange<UInt16> = 1_024...65_535
        ) {
            let request = BindRequest(tunnel: tunnel, address: "", port: port)
            ports.bind(request, [address], allowed: PortRanges(ranges: [allowed]))
            loop.run()
        }

        func takeReports() -> [String] {
            loop.run()
            defer { reports = [] }
            return reports
        }

        func ports(_ ports: PublicPorts, accepted channel: any Channel, at tunnel: UInt16) throws {
            reports.append("accepted at \(tunnel)")
        }

        func ports(_ ports: PublicPorts, memberFor tunnel: UInt16) -> RouteMember? { nil }

        func ports(_ ports: PublicPorts, flowFrom remote: SocketAddress, at tunnel: UInt16) -> IngressFlow.Admission {
            .refused
        }

        func ports(_ ports: PublicPorts, refused request: BindRequest, _ refusal: Refusal) {
            reports.append("\(request.tunnel) refused: \(refusal.text)")
        }

        func ports(_ ports: PublicPorts, published listener: any PortListener) {
            reports.append("\(listener.tunnel) at \(listener.place.port)")
        }

        func ports(_ ports: PublicPorts, lost listener: any PortListener, _ refusal: Refusal) {
            reports.append("\(listener.tunnel) lost: \(refusal.text)")
        }

        func portsAreReleased(_ ports: PublicPorts) { reports.append("released") }
    }

    // MARK: The cluster

    @Test(
        "A port on all of the server's addresses is claimed in the cluster before it is bound, others are this machine's"
    )
    func clusterClaim() {
        let cluster = FakeClusterDirectory()
        let rig = Rig(cluster: cluster)
        rig.bind(8_022)
        #expect(cluster.calls == ["claim tcp:8022 for 0"] && rig.binder.asked == [])
        cluster.grant()
        #expect(rig.takeReports() == ["0 at 8022"])
        rig.bind(8_023, tunnel: 1, on: "192.0.2.7")
        #expect(cluster.calls.count == 1 && rig.takeReports() == ["1 at 8023"])
    }

    @Test("A place that another server gets before it is public is given up once it is")
    func lostBeforePublished() {
        let cluster = FakeClusterDirectory()
        let rig = Rig(cluster: cluster)
        rig.binder.bindsAtOnce = false
        rig.bind(8_022)
        cluster.grant()
        _ = rig.takeReports()
        cluster.lose(8_022)
        #expect(rig.takeReports() == [])
        rig.binder.complete()
        #expect(rig.takeReports() == ["0 at 8022", "0 lost: it is elsewhere"])
    }

    @Test("If another tunnel of the session gets a place, the claim is made anew for it")
    func otherTunnel() {
        let cluster = FakeClusterDirectory()
        let rig = Rig(cluster: cluster)
        rig.bind(8_022)
        cluster.grant()
        _ = rig.takeReports()
        rig.bind(8_022, tunnel: 1)
        #expect(cluster.calls == ["claim tcp:8022 for 0", "drop", "claim tcp:8022 for 1"])
    }

    // MARK: Claim and bind

    @Test("A free port is claimed, bound and published")
    func published() {
        rig.bind(8_022)
        #expect(rig.takeReports() == ["0 at 8022"])
        #expect(rig.binder.asked == [8_022] && rig.ports.count == 1)
        #expect(rig.directory.claims(8_022, of: rig.holder) == 1)
    }

    @Test("A port with a pending bind counts")
    func countsPending() {
        rig.binder.bindsAtOnce = false
        rig.bind(8_022)
        #expect(rig.ports.count == 1 && rig.takeReports().isEmpty)
        rig.binder.complete()
        #expect(rig.ports.count == 1 && rig.takeReports() == ["0 at 8022"])
    }

    @Test("A failed bind is refused with its reason, and its claim is released")
    func failedBind() {
        rig.binder.taken = [8_022]
        rig.bind(8_022)
        let text = "port 8022 of 192.0.2.1 is in use by another program on the server"
        #expect(rig.takeReports() == ["0 refused: \(text)"])
        #expect(rig.directory.claims(8_022, of: rig.holder) == 0 && rig.ports.count == 0)
    }

    @Test("A refusal names the server's own use of a port, or another tunnel of the session")
    func users() {
        rig.directory.note(own: 8_080, use: "its endpoint")
        rig.binder.taken = [8_080, 8_022]
        rig.bind(8_080)
        #expect(
            rig.takeReports() == [
                "0 refused: port 8080 of 192.0.2.1 is in use by culvert server itself, as its endpoint"
            ]
        )
        _ = rig.directory.claim(8_022, for: rig.holder, now: Instant(nanoseconds: 1))
        rig.bind(8_022, tunnel: 1)
        #expect(
            rig.takeReports() == ["1 refused: port 8022 of 192.0.2.1 is in use by another tunnel of this session"]
        )
    }

    @Test("A port of another client is refused at once, and not bound")
    func heldByOther() {
        let bob = FakePortHolder("bob", client: 2, on: rig.loop)
        _ = rig.directory.claim(8_022, for: bob, now: Instant(nanoseconds: 90_000_000_000))
        rig.bind(8_022)
        bob.waitsUntil = Instant(nanoseconds: 130_000_000_000)
        rig.bind(8_022)
        #expect(
            rig.takeReports() == [
                "0 refused: port 8022 is held by bob since 10 s",
                "0 refused: port 8022 is kept for bob, which was cut off, for another 31 s",
            ]
        )
        #expect(rig.binder.asked.isEmpty)
    }

    // MARK: Take-over

    private func oldSession() -> FakePortHolder {
        let old = FakePortHolder("alice", client: 1, on: rig.loop)
        _ = rig.directory.claim(8_022, for: old, now: Instant(nanoseconds: 1))
        return old
    }

    @Test("An older session of the same process that answers keeps its port")
    func takeOverRefused() {
        let old = oldSession()
        rig.bind(8_022)
        #expect(rig.takeReports().isEmpty)
        old.answers(true)
        #expect(rig.takeReports() == ["0 refused: port 8022 is held by another running process of alice"])
        #expect(old.ending == nil && rig.binder.asked.isEmpty)
    }

    @Test("An older session of the same process that does not answer is ended, and its port is taken once it is free")
    func takeOver() {
        let old = oldSession()
        rig.bind(8_022)
        old.answers(false)
        rig.loop.run()
        #expect(old.ending?.code == .replaced && rig.binder.asked.isEmpty)
        rig.directory.release(8_022, old)
        old.released.succeed(())
        #expect(rig.takeReports() == ["0 at 8022"])
        #expect(rig.directory.claims(8_022, of: rig.holder) == 1)
    }

    @Test("A take-over is tried once: if a third session gets the port, the request is refused")
    func takeOverLost() {
        let old = oldSession()
        rig.bind(8_022)
        old.answers(false)
        rig.loop.run()
        rig.directory.release(8_022, old)
        let third = FakePortHolder("alice", client: 1, on: rig.loop)
        _ = rig.directory.claim(8_022, for: third, now: Instant(nanoseconds: 1))
        old.released.succeed(())
        #expect(rig.takeReports() == ["0 refused: port 8022 is held by another session of alice"])
        #expect(third.ending == nil)
    }

    @Test("A session that ends during a take-over claims no port")
    func endsDuringTakeOver() {
        let old = oldSession()
        rig.bind(8_022)
        old.answers(false)
        rig.loop.run()
        rig.ports.close()
        rig.ports.releaseAll()
        rig.directory.release(8_022, old)
        old.released.succeed(())
        #expect(rig.takeReports() == ["released"])
        #expect(rig.binder.asked.isEmpty && rig.directory.count(of: [1]) == (0, 0))
    }

    // MARK: Port 0

    @Test("Port 0 becomes a free port of the allowed range")
    func anyPort() {
        rig.binder.taken = [20_001, 20_002]
        rig.bind(0, allowed: 20_001...20_003)
        #expect(rig.takeReports() == ["0 at 20003"])
        #expect(rig.directory.count(of: [1]) == (1, 1))
    }

    @Test("The search for port 0 skips ports of other sessions without a bind")
    func anyPortHeld() {
        let bob = FakePortHolder("bob", client: 2, on: rig.loop)
        _ = rig.directory.claim(20_001, for: bob, now: Instant(nanoseconds: 1))
        rig.bind(0, allowed: 20_001...20_002)
        #expect(rig.takeReports() == ["0 at 20002"])
        #expect(!rig.binder.asked.contains(20_001))
    }

    @Test("Port 0 is refused after 50 failed binds, and no claim is left")
    func noFreePort() {
        rig.binder.taken = [20_001]
        rig.bind(0, allowed: 20_001...20_001)
        #expect(rig.takeReports() == ["0 refused: no free port found"])
        #expect(rig.binder.asked.count == PublicPorts.tries && rig.directory.count(of: [1]) == (0, 0))
    }

    @Test("The search for a port stops with the session's end")
    func endsDuringSearch() {
        rig.binder.bindsAtOnce = false
        rig.binder.taken = [20_001]
        rig.bind(0, allowed: 20_001...20_001)
        rig.ports.close()
        rig.ports.releaseAll()
        rig.binder.complete()
        #expect(rig.takeReports() == ["released"])
        #expect(rig.binder.asked.count == 1 && rig.directory.count(of: [1]) == (0, 0))
    }

    // MARK: Release

    @Test("A bind that completes after the session's end is closed, and only then is the session released")
    func bindAfterEnd() {
        rig.binder.bindsAtOnce = false
        rig.bind(8_022)
        rig.ports.close()
        rig.ports.releaseAll()
        #expect(rig.takeReports().isEmpty)
        #expect(rig.directory.claims(8_022, of: rig.holder) == 1)
        rig.binder.complete()
        #expect(rig.takeReports() == ["released"])
        #expect(rig.binder.listeners.map(\.isClosed) == [true])
        #expect(rig.directory.claims(8_022, of: rig.holder) == 0)
    }

    @Test("A bind that completes during a drain is closed and released, and not published")
    func bindWhileDraining() {
        rig.binder.bindsAtOnce = false
        rig.bind(8_022)
        rig.ports.close()
        rig.binder.complete()
        #expect(rig.takeReports().isEmpty && rig.ports.count == 0)
        #expect(rig.directory.claims(8_022, of: rig.holder) == 0)
    }

    @Test("Claims are released after the system has closed the ports")
    func releaseAfterClose() {
        rig.bind(8_022)
        rig.bind(8_023, tunnel: 1)
        #expect(rig.takeReports() == ["0 at 8022", "1 at 8023"])
        for listener in rig.binder.listeners { listener.closesSlowly = true }
        rig.ports.close()
        rig.ports.releaseAll()
        #expect(rig.takeReports().isEmpty && rig.directory.count(of: [1]) == (2, 2))
        for listener in rig.binder.listeners { listener.finishClosing() }
        #expect(rig.takeReports() == ["released"])
        #expect(rig.directory.count(of: [1]) == (0, 0))
    }

    @Test("A withdrawn port is released, and the others stay public")
    func withdraw() throws {
        rig.bind(8_022)
        rig.bind(8_023, tunnel: 1)
        let first = try #require(rig.ports.published.first)
        rig.ports.withdraw(first)
        rig.loop.run()
        #expect(rig.ports.published.map(\.place) == [8_023] && rig.binder.listeners.map(\.isClosed) == [true, false])
        #expect(rig.directory.count(of: [1]) == (1, 1))
    }

    @Test("A connection is passed to the session until its ports are released, and closed after that")
    func visitors() throws {
        rig.bind(8_022)
        let listener = try #require(rig.binder.listeners.first)
        let visitor = FakeSocket(loop: rig.loop)
        try listener.accept(visitor)
        #expect(rig.takeReports() == ["0 at 8022", "accepted at 0"] && !visitor.isClosed)
        rig.ports.close()
        rig.ports.releaseAll()
        rig.loop.run()
        let late = FakeSocket(loop: rig.loop)
        try listener.accept(late)
        #expect(late.isClosed && rig.takeReports() == ["released"])
        visitor.farSideSendsRST()
        rig.loop.run()
    }

    // MARK: Limits

    @Test("The limit of ports applies to all sessions of a client together")
    func limit() {
        let rig = Rig { $0.portsPerClient = 2 }
        let other = FakePortHolder("alice", client: 1, instance: 2, on: rig.loop)
        _ = rig.directory.claim(9_000, for: other, now: Instant(nanoseconds: 1))
        #expect(rig.ports.refusalOfAnother(shares: ClientShares(), of: nil) == nil)
        rig.bind(8_022)
        let refusal = rig.ports.refusalOfAnother(shares: ClientShares(), of: nil)
        #expect(refusal?.code == .limit && refusal?.text == "this client may have 2 ports in all its sessions")
    }

    @Test("Beside another client, a client's share is half of the shared ports; its own ports are not shared")
    func share() {
        let shares = ClientShares()
        _ = (shares.join([1]), shares.join([2]))
        rig.bind(8_022)
        #expect(rig.ports.refusalOfAnother(shares: shares, of: 4) == nil)
        rig.bind(8_023, tunnel: 1)
        #expect(rig.ports.refusalOfAnother(shares: shares, of: 4)?.code == .busy)
        #expect(rig.ports.refusalOfAnother(shares: shares, of: nil) == nil)
    }

    @Test("A tunnel that does not accept leaves visitors in its listen queue")
    func accepting() {
        rig.bind(8_022)
        rig.bind(8_023, tunnel: 1)
        #expect(!rig.ports.setAccepting { $0 == 1 })
        #expect(rig.binder.listeners.map(\.isAccepting) == [false, true])
        #expect(rig.ports.setAccepting { _ in true })
        #expect(rig.binder.listeners.map(\.isAccepting) == [true, true])
    }
}
