import NIOCore
import Testing

@testable import Mux

/// Whose socket is read on, where sockets bring more than the carrier takes.
@Suite struct ReadAheadTests {
    private static let read = 200_000
    private static let most = 262_144

    private func id(_ index: Int) -> StreamID { StreamID(UInt32(index) * 2 + 2) }

    /// A server with streams whose sockets have brought so much each that they were told to stop; nothing has left.
    private func copies(_ count: Int) -> Session {
        var server = session(.server, limits { $0.replayBytes = .max }, window: .max)
        for _ in 0..<count { _ = server.open(visit, now: .start) }
        _ = server.frames()
        holdByLine(&server)
        for index in 0..<count { bring(&server, id(index)) }
        return server
    }

    /// Nothing but the line holds the server up, on a path within one machine unless it is `far`.
    private func holdByLine(_ server: inout Session, isFar: Bool = false) {
        server.flight = CongestionWindow(ackDelay: .milliseconds(20), first: Int(Int32.max), now: .start)
        server.flight.answered(within: isFar ? .milliseconds(1) : .microseconds(999), now: .start)
        server.readAhead = ReadAhead(most: Self.most)
    }

    /// A socket brings so much that it is told to stop.
    private func bring(_ server: inout Session, _ stream: StreamID) {
        let mayGoOn = server.accepts(stream, bytes(Self.read))
        #expect(!mayGoOn)
    }

    /// The streams whose sockets may be read on.
    private func released(_ server: inout Session) -> [StreamID] {
        server.actions().compactMap { if case .sendable(let id) = $0 { id } else { nil } }
    }

    /// Sends frames until a socket may be read on, or nothing is left.
    private func send(_ server: inout Session, until isEnough: (Session) -> Bool = { _ in false }) -> [StreamID] {
        while !isEnough(server), server.nextFrame(now: .start) != nil {
            let streams = released(&server)
            if !streams.isEmpty { return streams }
        }
        return released(&server)
    }

    @Test("no socket is read on while a large read's worth waits")
    func bound() {
        var server = copies(5)
        let first = send(&server)
        #expect(first == [id(0)])
        // The first socket's next bytes are expected.
        #expect(server.waitingBytes.toSend < Self.most)
        #expect(server.waitingBytes.toSend >= Self.most - MuxLimits.maximumData)
    }

    @Test("sockets are read in the order in which they had room, and none twice before the others")
    func order() {
        var server = copies(6)
        var turns: [StreamID] = []
        for _ in 0..<18 {
            for stream in send(&server) {
                turns.append(stream)
                bring(&server, stream)
            }
        }
        #expect(turns.count >= 18)
        for (turn, stream) in turns.enumerated() { #expect(stream == id(turn % 6)) }
    }

    @Test("what is expected of a socket that was let go on counts, until it has come")
    func expectation() {
        var server = copies(10)
        let first = send(&server)
        #expect(first == [id(0)])
        let waiting = server.waitingBytes.toSend
        // Where nothing comes the others are not let in before as much has left again.
        let early = send(&server) { $0.waitingBytes.toSend <= waiting - Self.read + MuxLimits.maximumData }
        #expect(early.isEmpty)
        let later = send(&server)
        #expect(later == [id(1)])
    }

    @Test("once nothing is left to send everybody may bring what there is, whoever was let go on and brought nothing")
    func dry() {
        var server = copies(10)
        var all: [StreamID] = []
        while server.nextFrame(now: .start) != nil { all += released(&server) }
        all += released(&server)
        #expect(server.waitingBytes.toSend == 0)
        #expect(Set(all) == Set((0..<10).map { id($0) }) && all.count == 10)
        // What they bring then waits in turn again.
        for index in 0..<10 { bring(&server, id(index)) }
        let first = send(&server)
        #expect(first == [id(0)])
    }

    @Test("on a longer path nobody waits, since a turn of all would take long there")
    func far() {
        var server = copies(10)
        holdByLine(&server, isFar: true)
        let all = send(&server) { $0.waitingBytes.toSend < 500_000 }
        var more: [StreamID] = []
        while server.waitingBytes.toSend > 300_000, server.nextFrame(now: .start) != nil { more += released(&server) }
        #expect(all.count + more.count >= 9)
    }

    @Test("a copy has its turn beside any number of streams that are never told to stop")
    func progress() {
        var server = session(.server, limits { $0.replayBytes = .max }, window: .max)
        for _ in 0...50 { _ = server.open(visit, now: .start) }
        _ = server.frames()
        holdByLine(&server)
        for index in 0..<50 { server.write(id(index), bytes(50_000)) }
        bring(&server, id(50))
        var turns = 0, sent = 0
        while sent < 200 * Self.most, let frame = server.nextFrame(now: .start) {
            sent += frame.payload.readableBytes
            if frame.header.stream != id(50) { server.write(frame.header.stream, frame.payload) }
            for stream in released(&server) where stream == id(50) {
                turns += 1
                bring(&server, id(50))
            }
        }
        #expect(turns >= 5, "\(turns) turns in \(sent) bytes")
    }

    @Test("sockets that were told to go on and bring nothing keep nobody from his turn")
    func ghosts() {
        var server = copies(4)
        _ = server.open(visit, now: .start)
        let first = send(&server)
        #expect(first == [id(0)])
        var turns: [StreamID] = []
        // Somebody always has a little, so that the server is never without anything to send.
        for _ in 0..<200 where turns.count < 3 {
            server.write(id(4), bytes(20_000))
            _ = server.nextFrame(now: .start)
            _ = server.nextFrame(now: .start)
            turns += released(&server).filter { $0 != id(4) }
        }
        #expect(turns == [id(1), id(2), id(3)])
    }

    @Test("whoever types stands in no line, even where every read is the last one for now")
    func typing() {
        var server = copies(10)
        _ = server.open(visit, now: .start)
        let early = send(&server) { $0.waitingBytes.toSend < 500_000 }
        #expect(early.isEmpty)
        server.pressure = .shrinksWindows
        let mayGoOn = server.accepts(id(10), bytes(1))
        #expect(!mayGoOn)
        var frames: [StreamID] = []
        while frames.last != id(10), let frame = server.nextFrame(now: .start) { frames.append(frame.header.stream) }
        let told = released(&server)
        #expect(told == [id(10)])
    }

    @Test("who has left the line is forgotten there before its turn, and who stands in it is not")
    func dead() {
        var ahead = ReadAhead(most: 1)
        let stays = (0..<10).map { Stream(id: id($0), sendWindow: .max, receiveWindow: 1, now: .start) }
        for stream in stays { ahead.enqueue(stream) }
        var longest = 0
        for index in 10..<1_000 {
            let goes = Stream(id: id(index), sendWindow: .max, receiveWindow: 1, now: .start)
            ahead.enqueue(goes)
            let stood = ahead.remove(goes)
            #expect(stood)
            longest = max(longest, ahead.lineLength)
        }
        #expect(longest > stays.count && longest < 100, "\(longest)")
        var turns: [StreamID] = []
        while let next = ahead.next(isUnbounded: true) { turns.append(next.id) }
        #expect(turns == stays.map(\.id) && ahead.lineLength == 0)
    }

    @Test("streams that wait for the peer's credit hold nobody up")
    func stalled() throws {
        var server = session(.server, limits { $0.replayBytes = .max }, window: 100_000)
        for _ in 0..<9 { _ = server.open(visit, now: .start) }
        _ = server.frames()
        holdByLine(&server)
        for index in 0..<9 { try server.receive(frame(.accept, id(index).rawValue), now: .start) }
        for index in 0..<8 { bring(&server, id(index)) }
        _ = server.frames()
        _ = released(&server)
        #expect(server.waitingBytes.toSend == 8 * 100_000, "eight readers read no more")
        try server.receive(frame(.credit, id(8).rawValue, number: 10_000_000), now: .start)
        for _ in 0..<20 {
            bring(&server, id(8))
            _ = server.frames()
            let streams = released(&server)
            #expect(streams == [id(8)])
        }
    }

    @Test(
        "a stream that is gone is passed over, one that brings no more waits for no turn, and nothing is expected of them"
    )
    func gone() {
        var server = copies(4)
        let first = send(&server)
        #expect(first == [id(0)])
        server.reset(id(0), .connectionReset)
        server.finish(id(1))
        server.reset(id(2), .connectionReset)
        var all: [StreamID] = []
        while server.nextFrame(now: .start) != nil { all += released(&server) }
        all += released(&server)
        #expect(all == [id(1), id(3)])
        #expect(server.waitingBytes.toSend == 0)
    }

    @Test("who stands in the line and brings no more is told at once; whoever is gone is never told")
    func leavesLine() {
        var server = copies(10)
        let early = send(&server) { $0.waitingBytes.toSend < 500_000 }
        #expect(early.isEmpty, "all have room, and wait for their turn")
        server.finish(id(9))
        let told = released(&server)
        #expect(told == [id(9)])
        server.reset(id(8), .connectionReset)
        var others: [StreamID] = []
        while server.nextFrame(now: .start) != nil { others += released(&server) }
        others += released(&server)
        #expect(others == (0..<8).map { id($0) })
    }

    @Test("a copy is one that has a long frame's worth at hand and could send it")
    func copying() throws {
        var server = session(.server, MuxLimits(), window: 70_000)
        _ = server.open(visit, now: .start)
        _ = server.frames()
        server.write(two, bytes(MuxLimits.maximumData - 1))
        #expect(server.isCopying == false)
        server.write(two, bytes(1))
        #expect(server.isCopying == true)
        server.write(two, bytes(100_000))
        _ = server.frames()
        #expect(server.waitingBytes.toSend > MuxLimits.maximumData && !server.isCopying, "no credit")
        try server.receive(frame(.accept, 2), now: .start)
        try server.receive(frame(.credit, 2, number: 170_000), now: .start)
        #expect(server.isCopying == true)
    }

    @Test("of a stream whose peer grants little no more counts than that")
    func grantedLittle() {
        var server = session(.server, MuxLimits(), window: 1_000)
        _ = server.open(visit, now: .start)
        bring(&server, two)
        #expect(!server.isCopying && server.readAhead.ready == 1_000)
    }
}
