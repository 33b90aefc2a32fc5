import NIOCore
import Testing

@testable import Mux

/// Streams of kind udp: whole datagrams, never sent again, and bounded queues.
@Suite("Datagrams")
struct DatagramTests {
    private static let flow = OpenRequest(tunnel: 0, kind: .udp, visitor: "203.0.113.9:53")

    /// A server with stream 2 as an accepted flow.
    private func serverWithFlow(_ limits: MuxLimits = MuxLimits()) throws -> Session {
        var server = session(.server, limits)
        #expect(server.open(Self.flow, now: .start) == two)
        try server.receive(frame(.accept, 2), now: .start)
        _ = (server.frames(), server.actions())
        return server
    }

    private func datagrams(_ session: inout Session, _ now: Instant = .start) -> [Int] {
        session.frames(now).filter { $0.header.type == .datagram }.map(\.payload.readableBytes)
    }

    @Test("Datagrams arrive whole and in order, from none to 65,507 bytes")
    func whole() throws {
        var server = try serverWithFlow()
        for length in [0, 1, 1_200, 65_507] { server.send(two, bytes(length), now: .start) }
        server.send(two, bytes(65_508), now: .start)
        var client = session(.client)
        try client.receive(Self.flow.frame(two).arrived, now: .start)
        #expect(client.actions() == [.open(two, Self.flow)])
        let sent = server.frames().filter { $0.header.type == .datagram }
        #expect(sent.map(\.payload.readableBytes) == [0, 1, 1_200, 65_507])
        for frame in sent { try client.receive(frame.arrived, now: .start) }
        #expect(client.actions() == sent.map { .datagram(two, $0.payload) })
    }

    @Test("A flow's datagrams follow its OPEN, and at the other end its ACCEPT")
    func afterOpening() throws {
        var server = session(.server)
        #expect(server.open(Self.flow, now: .start) == two)
        server.send(two, bytes(0), now: .start)
        server.send(two, bytes(9), now: .start)
        let sent = server.frames()
        #expect(sent.map(\.header.type) == [.open, .datagram, .datagram])
        var client = session(.client)
        for frame in sent { try client.receive(frame.arrived, now: .start) }
        _ = client.actions()
        client.accept(two, now: .start)
        client.send(two, bytes(7), now: .start)
        let answer = client.frames()
        #expect(answer.map(\.header.type).filter { $0 != .ack } == [.accept, .datagram])
        for frame in answer { try server.receive(frame.arrived, now: .start) }
        #expect(server.actions().contains { if case .datagram(two, _) = $0 { true } else { false } })
    }

    @Test("A datagram is neither counted nor sent again, and without a carrier it is dropped")
    func uncounted() throws {
        var server = try serverWithFlow()
        let before = server.holdings.replayBytes
        server.send(two, bytes(100), now: .start)
        #expect(datagrams(&server) == [100] && server.holdings.replayBytes == before)
        server.send(two, bytes(200), now: .start)
        server.detach(now: .start)
        server.send(two, bytes(300), now: .start)
        #expect(server.datagramDrops.carrier == 2)
        try server.attach(peerReceived: 1, now: .start)
        #expect(datagrams(&server).isEmpty)
        server.send(two, bytes(400), now: .start)
        #expect(datagrams(&server) == [400])
    }

    @Test("The oldest datagrams are dropped: beyond 64, beyond 256 KiB, and after 250 ms")
    func bounds() throws {
        var many = try serverWithFlow()
        for length in 1...70 { many.send(two, bytes(length), now: .start) }
        #expect(many.datagramDrops.count == 6 && datagrams(&many) == Array(7...70))
        var large = try serverWithFlow()
        for _ in 0..<6 { large.send(two, bytes(60_000), now: .start) }
        #expect(large.datagramDrops.bytes == 2 && datagrams(&large).count == 4)
        var old = try serverWithFlow()
        old.send(two, bytes(1), now: .start)
        old.send(two, bytes(2), now: .at(.milliseconds(1)))
        #expect(datagrams(&old, .at(.microseconds(250_500))) == [2] && old.datagramDrops.age == 1)
    }

    @Test("All flows of a session together hold 8 MiB, and the flow that brings more gives way")
    func sessionBound() throws {
        var server = session(.server)
        var flows: [StreamID] = []
        for number in 1...40 {
            let opened = server.open(Self.flow, now: .start)
            flows.append(try #require(opened))
            try server.receive(frame(.accept, UInt32(number) * 2), now: .start)
        }
        _ = server.frames()
        let held = server.heldBytes
        for flow in flows { for _ in 0..<4 { server.send(flow, bytes(60_000), now: .start) } }
        #expect(server.heldBytes - held <= MuxLimits.waitingDatagrams)
        #expect(server.datagramDrops.session == 160 - MuxLimits.waitingDatagrams / 60_000)
        let left = server.frames().filter { $0.header.type == .datagram }.map(\.header.stream)
        #expect(left.count { $0 == flows[0] } == 4, "the first flow kept its datagrams")
        #expect(server.heldBytes == held)
    }

    @Test("Flows have their turns, and bulk data is sent beside a flood of datagrams")
    func fair() throws {
        var server = try serverWithFlow()
        let opened = (server.open(Self.flow, now: .start), server.open(visit, now: .start))
        let (other, bulk) = (try #require(opened.0), try #require(opened.1))
        for id in [other, bulk] { try server.receive(frame(.accept, id.rawValue), now: .start) }
        _ = server.frames()
        server.write(bulk, bytes(200_000))
        for _ in 0..<40 { for id in [two, other] { server.send(id, bytes(1_200), now: .start) } }
        let sent = (0..<30).compactMap { _ in server.nextFrame(now: .start) }
        let flows = sent.filter { $0.header.type == .datagram }.map(\.header.stream)
        #expect(zip(flows, flows.dropFirst()).allSatisfy { $0 != $1 }, "one of each flow in turn")
        let first = try #require(sent.firstIndex { $0.header.type == .data })
        #expect(first == 14, "16 KiB of datagrams, then a frame of the bulk stream")
    }

    @Test("A datagram goes before frames that are sent again")
    func beforeRepetition() throws {
        var server = try serverWithFlow()
        let opened = server.open(visit, now: .start)
        let bulk = try #require(opened)
        try server.receive(frame(.accept, bulk.rawValue), now: .start)
        server.write(bulk, bytes(40_000))
        _ = server.frames()
        server.detach(now: .start)
        try server.attach(peerReceived: 1, now: .start)
        server.send(two, bytes(9), now: .start)
        #expect(server.frames().filter { $0.header.type != .ping }.first?.header.type == .datagram)
    }

    @Test("A flow ends by RESET alone, and its datagrams go with it")
    func ends() throws {
        var server = try serverWithFlow()
        server.send(two, bytes(5), now: .start)
        server.finish(two)
        server.write(two, bytes(5))
        server.reset(two, .timeout)
        #expect(server.sent() == ["reset 2"] && server.streamCount == 0)
        server.send(two, bytes(5), now: .start)
        #expect(server.frames().isEmpty)
        #expect(server.kind(of: frame(.datagram, 2, bytes(1))) == nil && server.actions().isEmpty)
    }

    @Test("DATA, END and CREDIT on a flow, and DATAGRAM on another stream, end the session")
    func mixed() throws {
        for wrong in [frame(.data, 2, bytes(1)), frame(.end, 2, number: 0), frame(.credit, 2, number: 1 << 20)] {
            var server = try serverWithFlow()
            #expect(server.kind(of: wrong) == .unexpectedFrame)
        }
        var server = try serverWithStream()
        #expect(server.kind(of: frame(.datagram, 2, bytes(1))) == .unexpectedFrame)
    }

    @Test("A datagram that overtakes its OPEN or its ACCEPT is dropped")
    func early() {
        var client = session(.client)
        #expect(client.kind(of: frame(.datagram, 2, bytes(1))) == nil && client.actions().isEmpty)
        var server = session(.server)
        _ = server.open(Self.flow, now: .start)
        #expect(server.kind(of: frame(.datagram, 2, bytes(1))) == nil && server.actions().isEmpty)
        #expect(server.kind(of: frame(.accept, 2), frame(.datagram, 2, bytes(1))) == nil)
        #expect(server.actions() == [.accepted(two), .datagram(two, bytes(1))])
    }

    @Test("A DATAGRAM has at most 65,507 bytes, and 4,096 before the handshake is done")
    func longest() {
        for (isAdmitted, length, isTaken) in [(true, 65_507, true), (true, 65_508, false), (false, 4_097, false)] {
            var assembler = FrameAssembler()
            assembler.isAdmitted = isAdmitted
            let wire = buffer(OutboundFrame(.datagram, two, bytes(length)).wire)
            let error = kind { () throws(MuxError) in _ = try assembler.receive(wire, isLast: true) }
            #expect(error == (isTaken ? nil : .frameLength))
        }
    }
}
