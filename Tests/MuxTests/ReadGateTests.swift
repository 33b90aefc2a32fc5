import NIOCore
import Testing

@testable import Mux

/// Which paused sockets are resumed while many bytes are ready to leave.
@Suite("The read gate for the sockets of bulk streams") struct ReadGateTests {
    /// Bytes of one read of a socket.
    private static let read = 100_000
    /// Bytes that may be ready before sockets are resumed one by one.
    private static let limit = 450_000

    private func id(_ index: Int) -> StreamID { StreamID(UInt32(index) * 2 + 2) }

    /// A server with bulk streams that have each brought one read and are paused.
    private func bulk(_ count: Int, window: UInt32 = .max) -> Session {
        var server = session(
            .server,
            limits {
                $0.streams = count + 2
                $0.opening = count + 2
                $0.replayBytes = .max
            },
            window: window
        )
        server.readGate = ReadGate(limit: Self.limit)
        for _ in 0..<count { _ = server.open(visit, now: .start) }
        _ = server.frames()
        server.congestion = CongestionWindow(ackDelay: .milliseconds(20), first: Int(Int32.max), now: .start)
        for index in 0..<count { server.write(id(index), bytes(Self.read)) }
        _ = server.actions()
        return server
    }

    private func resumed(_ server: inout Session) -> [StreamID] {
        server.actions().compactMap { if case .sendable(let id) = $0 { id } else { nil } }
    }

    @Test("below the limit a socket is resumed as soon as its stream has room")
    func below() {
        var server = bulk(4)
        var order: [StreamID] = []
        while let frame = server.nextFrame(now: .start) {
            let resumed = resumed(&server)
            #expect(resumed.isEmpty || resumed == [frame.header.stream])
            order += resumed
        }
        #expect(Set(order) == Set((0..<4).map(id)) && order.count == 4)
    }

    @Test("above the limit no socket is resumed, and in the end each is resumed once")
    func above() {
        var server = bulk(20)
        var resumptions: [(ready: Int, streams: [StreamID])] = []
        while server.nextFrame(now: .start) != nil {
            resumptions.append((server.readGate.ready, resumed(&server)))
            if server.readGate.ready == 0 { break }
        }
        #expect(resumptions.allSatisfy { $0.ready < Self.limit || $0.streams.isEmpty })
        let order = resumptions.flatMap(\.streams)
        #expect(Set(order).count == order.count, "no socket is resumed twice")
        _ = server.nextFrame(now: .start)
        #expect(Set(order + resumed(&server)) == Set((0..<20).map(id)), "each socket is resumed")
    }

    @Test("the socket of an interactive stream is resumed above the limit too")
    func interactive() {
        var server = bulk(20)
        _ = server.open(visit, now: .start)
        server.pressure = .shrinksWindows
        #expect(server.accepts(id(20), bytes(1)) == false)
        var frames = 0
        while server.nextFrame(now: .start) != nil {
            frames += 1
            if resumed(&server).contains(id(20)) { break }
        }
        #expect(frames <= 2 && server.readGate.ready > Self.limit)
    }

    @Test("bytes without credit do not delay the resumption of sockets")
    func withoutCredit() throws {
        var server = bulk(20, window: 1)
        _ = server.frames()
        #expect(server.readGate.ready == 0)
        try server.receive(frame(.credit, 2, number: 1_000_000), now: .start)
        _ = server.frames()
        #expect(resumed(&server) == [id(0)])
    }

    @Test("a stream that was reset or whose input ended leaves the line")
    func gone() {
        var server = bulk(200)
        while server.readGate.lineLength < 100, server.nextFrame(now: .start) != nil {}
        #expect(server.readGate.lineLength == 100)
        _ = server.actions()
        for index in 0..<100 { server.reset(id(index), .busy) }
        for index in 100..<200 { server.finish(id(index)) }
        #expect(server.readGate.lineLength <= 34)
        while server.nextFrame(now: .start) != nil {}
        #expect(server.readGate.lineLength == 0 && server.readGate.ready == 0)
    }
}
