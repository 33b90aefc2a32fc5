import NIOCore
import NetworkAddress
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

@Suite("The admission of visitors")
struct VisitorAdmissionTests {
    /// Creates a session with a public port, a limit of streams, and short queues.
    private func rig(
        streams: Int = 10,
        waiting: Int = 10,
        _ change: (inout ServerConfiguration) -> Void = { _ in }
    ) throws -> ServerRig {
        let rig = ServerRig { configuration in
            configuration.limits.streams = streams
            configuration.serverLimits.waitingVisitors = waiting
            configuration.serverLimits.waitingTime = .seconds(15)
            configuration.serverLimits.waitingTimeForStream = .seconds(2)
            change(&configuration)
        }
        try rig.bind(8_022)
        _ = try rig.sent()
        return rig
    }

    // MARK: With room

    @Test("A visitor gets a stream at once, and OPEN has its address")
    func open() throws {
        let rig = try rig()
        let visitor = try rig.visitor()
        #expect(try rig.sent() == ["OPEN 2 for 203.0.113.9:40001"])
        #expect(visitor.isReading && rig.pendingVisitors == 0)
        #expect(rig.share.connections.load(ordering: .relaxed) == 1)
    }

    @Test("OPEN has the public address if the client requests it")
    func publicAddress() throws {
        let rig = ServerRig()
        var requested = RequestedVisitorLimits()
        requested.wantsPublicAddress = true
        try rig.bind(8_022, requested)
        _ = try rig.sent()
        _ = try rig.visitor()
        #expect(try rig.sent() == ["OPEN 2 for 203.0.113.9:40001 at 192.0.2.1:8022"])
    }

    @Test("A connection to a closed tunnel is closed")
    func closedTunnel() throws {
        let rig = try rig()
        rig.session.admission.remove(0)
        let visitor = try rig.visitor()
        #expect(visitor.isClosed)
        #expect(try rig.sent().isEmpty)
    }

    @Test("Pending visitors of a port that is withdrawn are reset, and those of other ports get their streams")
    func withdrawnPort() throws {
        let rig = try rig()
        try rig.bind(8_023, tunnel: 1)
        rig.loseCarrier()
        let (withdrawn, kept) = (try rig.visitor(at: 0), try rig.visitor(at: 1, port: 40_002))
        #expect(rig.pendingVisitors == 2)
        rig.update(rights: { $0.allowedPorts = PortRanges(ranges: [8_023...8_023]) })
        #expect(withdrawn.farSide == "<RST>" && !kept.isClosed && rig.pendingVisitors == 1)
        #expect(rig.resume(epoch: 1, received: 2) == nil)
        #expect(try rig.sent().last == "OPEN 2 for 203.0.113.9:40002")
    }

    @Test("A withdrawn port's pending visitors make room for those of other ports")
    func withdrawnPortMakesRoom() throws {
        let rig = try rig(waiting: 1)
        try rig.bind(8_023, tunnel: 1)
        rig.loseCarrier()
        _ = try rig.visitor(at: 0)
        let kept = try #require(rig.binder.listeners.first { $0.tunnel == 1 })
        #expect(!kept.isAccepting)
        rig.update(rights: { $0.allowedPorts = PortRanges(ranges: [8_023...8_023]) })
        #expect(kept.isAccepting && rig.pendingVisitors == 0)
    }

    // MARK: The gate

    @Test("A visitor beyond the tunnel's limit is reset, and one that closes makes room")
    func connections() throws {
        let rig = try rig { $0.visitors.connections = 1 }
        let (first, second) = (try rig.visitor(), try rig.visitor())
        #expect(!first.isClosed && second.farSide == "<RST>")
        #expect(rig.log.count("visitor refused reason=as many visitors as the tunnel may have") == 1)
        first.farSideSendsRST()
        rig.loop.run()
        #expect(rig.share.connections.load(ordering: .relaxed) == 0)
        #expect(try !rig.visitor().isClosed)
    }

    @Test("One address is admitted at its rate")
    func rate() throws {
        let rig = try rig { $0.visitors.connectionsPerSecond = 2 }
        for _ in 0..<2 { #expect(try !rig.visitor().isClosed) }
        #expect(try rig.visitor().farSide == "<RST>")
        #expect(try !rig.visitor(from: "203.0.113.10").isClosed)
        rig.advance(0.5)
        #expect(try !rig.visitor().isClosed)
    }

    @Test("A visitor from a denied address is reset before it is read")
    func denied() throws {
        let rig = try rig { $0.visitors.deny = VisitorLimits.blocks("203.0.113.0/24") ?? [] }
        let visitor = try rig.visitor()
        #expect(visitor.farSide == "<RST>" && !visitor.isReading)
        #expect(try rig.sent().isEmpty)
        #expect(try !rig.visitor(from: "198.51.100.1").isClosed)
    }

    @Test("Beside another client, a client's share is half of the memory")
    func share() throws {
        let rig = try rig()
        _ = rig.resources.shares.join([2])
        _ = rig.resources.memory.open { _, done in done() }
        rig.share.memory.store(rig.resources.memory.capacity, ordering: .relaxed)
        let account = rig.resources.memory.open { _, done in done() }
        account.holds(rig.resources.memory.capacity / 2)
        #expect(try rig.visitor().farSide == "<RST>")
        #expect(rig.log.count("its client has its share of the server") == 1)
        rig.share.memory.store(0, ordering: .relaxed)
        #expect(try !rig.visitor().isClosed)
        account.close()
    }

    @Test("A server that is short of memory resets visitors")
    func memory() throws {
        let rig = try rig()
        let account = rig.resources.memory.open { _, done in done() }
        account.holds(rig.resources.memory.capacity / 5 * 4)
        #expect(try rig.visitor().farSide == "<RST>")
        #expect(rig.log.count("the server is short of memory") == 1)
        account.close()
        #expect(try !rig.visitor().isClosed)
    }

    // MARK: Fronts

    private func frontedRig() throws -> ServerRig {
        try rig {
            $0.hasFrontsOnPublicPorts = true
            $0.trustedFronts = TrustedFronts(blocks: VisitorLimits.blocks("203.0.113.9") ?? [])
            $0.visitors.deny = VisitorLimits.blocks("198.51.100.66") ?? []
        }
    }

    @Test("A front's PROXY header names the visitor, and the bytes after it are forwarded")
    func proxyHeader() throws {
        let rig = try frontedRig()
        let socket = try rig.visitor()
        #expect(try rig.sent().isEmpty)
        socket.farSideSends("PROXY TCP4 198.51.100.1 192.0.2.1 51000 8022\r\nhello")
        rig.loop.run()
        #expect(try rig.sent() == ["OPEN 2 for 198.51.100.1:51000", "\(FrameType.data) 2"])
    }

    @Test("A connection that waits for its PROXY header counts among the client's, and its end frees the place")
    func waitsForHeader() throws {
        let rig = try frontedRig()
        let socket = try rig.visitor()
        #expect(rig.share.connections.load(ordering: .relaxed) == 1)
        #expect(rig.resources.shares.connections.load(ordering: .relaxed) == 1)
        socket.farSideSendsRST()
        rig.loop.run()
        #expect(rig.share.connections.load(ordering: .relaxed) == 0)
        #expect(rig.resources.shares.connections.load(ordering: .relaxed) == 0)
    }

    @Test("The gate checks the address in the header")
    func proxyHeaderDenied() throws {
        let rig = try frontedRig()
        let socket = try rig.visitor()
        socket.farSideSends("PROXY TCP4 198.51.100.66 192.0.2.1 51000 8022\r\n")
        rig.loop.run()
        #expect(socket.farSide == "<RST>")
        #expect(try rig.sent().isEmpty)
    }

    @Test("A front's health check is treated as a visitor with the front's address")
    func healthCheck() throws {
        let rig = try frontedRig()
        try rig.visitor().farSideSends("PROXY UNKNOWN\r\n")
        #expect(try rig.sent() == ["OPEN 2 for 203.0.113.9:40001"])
    }

    @Test("A front that sends no header in time, or other bytes, is closed")
    func noHeader() throws {
        let rig = try frontedRig()
        let silent = try rig.visitor()
        rig.advance(9.9)
        #expect(!silent.isClosed)
        rig.advance(0.1)
        #expect(silent.isClosed)
        let wrong = try rig.visitor()
        wrong.farSideSends("GET / HTTP/1.1\r\n\r\n")
        rig.loop.run()
        #expect(wrong.isClosed)
        #expect(try rig.sent().isEmpty)
    }

    @Test("A visitor that is not a front needs no header")
    func besideFront() throws {
        let rig = try frontedRig()
        _ = try rig.visitor(from: "198.51.100.1")
        #expect(try rig.sent() == ["OPEN 2 for 198.51.100.1:40001"])
    }

    // MARK: Without a carrier

    @Test("A visitor without a carrier waits, and gets its stream on the next carrier")
    func withoutCarrier() throws {
        let rig = try rig()
        rig.loseCarrier()
        let visitor = try rig.visitor()
        #expect(rig.pendingVisitors == 1 && !visitor.isReading && !visitor.isClosed)
        #expect(rig.resume(epoch: 1, received: 1) == nil)
        #expect(try rig.sent() == ["\(FrameType.resumed) 0", "OPEN 2 for 203.0.113.9:40001"])
        #expect(rig.pendingVisitors == 0 && visitor.isReading)
    }

    @Test("A visitor that waits for a carrier is reset after 15 s")
    func withoutCarrierTimeout() throws {
        let rig = try rig()
        rig.loseCarrier()
        let visitor = try rig.visitor()
        rig.advance(14.9)
        #expect(!visitor.isClosed)
        rig.advance(0.1)
        #expect(visitor.farSide == "<RST>" && rig.pendingVisitors == 0)
    }

    @Test("Without a carrier the pending visitors are limited, and further ones stay in the listen queue")
    func withoutCarrierFull() throws {
        let rig = try rig(waiting: 1)
        rig.loseCarrier()
        let listener = try #require(rig.binder.listeners.first)
        #expect(listener.isAccepting)
        _ = try rig.visitor()
        #expect(!listener.isAccepting && rig.pendingVisitors == 1)
        rig.advance(15)
        #expect(listener.isAccepting && rig.pendingVisitors == 0)
    }

    @Test("A waiting visitor that resets gets no stream, and the next one does")
    func resetWhileWaiting() throws {
        let rig = try rig()
        rig.loseCarrier()
        try rig.visitor().farSideSendsRST()
        _ = try rig.visitor(port: 40_002)
        #expect(rig.resume(epoch: 1, received: 1) == nil)
        #expect(try rig.sent() == ["\(FrameType.resumed) 0", "OPEN 2 for 203.0.113.9:40002"])
    }

    @Test("Pending visitors are reset when the session stops accepting")
    func stopped() throws {
        let rig = try rig()
        rig.loseCarrier()
        let visitor = try rig.visitor()
        _ = rig.session.end(Refusal(.goingAway, "kicked"))
        #expect(visitor.farSide == "<RST>" && rig.pendingVisitors == 0)
    }

    @Test("A connection that is accepted after the session's end is reset")
    func late() throws {
        let rig = try rig()
        _ = rig.session.drain(Refusal(.goingAway, "soon"))
        let visitor = try rig.visitor()
        #expect(visitor.isClosed)
    }

    // MARK: Without streams

    @Test("With all streams in use a visitor waits, and gets a stream when one ends")
    func streamsUsed() throws {
        let rig = try rig(streams: 1)
        let first = try rig.visitor()
        try rig.receive(.accept(2))
        let second = try rig.visitor(port: 40_002)
        #expect(try rig.sent() == ["OPEN 2 for 203.0.113.9:40001"])
        #expect(rig.pendingVisitors == 1 && !second.isClosed)
        first.farSideSendsRST()
        rig.loop.run()
        #expect(try rig.sent().contains("OPEN 4 for 203.0.113.9:40002"))
        #expect(rig.pendingVisitors == 0)
    }

    @Test("With all streams in use a visitor is reset after 2 s, and accepting continues")
    func streamsUsedTimeout() throws {
        let rig = try rig(streams: 1)
        _ = try rig.visitor()
        let second = try rig.visitor()
        #expect(rig.binder.listeners.first?.isAccepting == true)
        rig.advance(1.9)
        #expect(!second.isClosed)
        rig.advance(0.1)
        #expect(second.farSide == "<RST>")
        #expect(rig.log.count("visitor refused reason=all streams of the session are used") == 1)
    }

    @Test("With all streams in use and the maximum of pending visitors, a visitor is reset at once")
    func streamsUsedFull() throws {
        let rig = try rig(streams: 1, waiting: 1)
        _ = (try rig.visitor(), try rig.visitor())
        #expect(rig.pendingVisitors == 1)
        #expect(try rig.visitor().farSide == "<RST>")
    }

    @Test("With slow services a tunnel has one pending visitor, and the others stay in the listen queue")
    func slowServices() throws {
        let rig = try rig { $0.limits.opening = 1 }
        _ = try rig.visitor()
        _ = try rig.visitor(port: 40_002)
        #expect(rig.pendingVisitors == 1 && rig.binder.listeners.first?.isAccepting == false)
        _ = try rig.sent()
        try rig.receive(.accept(2))
        #expect(try rig.sent() == ["OPEN 4 for 203.0.113.9:40002"])
        #expect(rig.pendingVisitors == 0 && rig.binder.listeners.first?.isAccepting == true)
    }
}
