import NIOCore
import Testing

@testable import Mux

/// The reactions of a session to its owner's shortage of memory (X10), and the count of the memory that it holds.
@Suite struct MemoryPressureTests {
    @Test("X10 while memory is short a window does not grow beyond the initial one", arguments: [false, true])
    func windows(isShort: Bool) throws {
        let narrow = limits {
            $0.initialWindow = 1_000; $0.maximumWindow = 8_000
        }
        var client = try clientWithStream(narrow)
        client.pressure = isShort ? .shrinksWindows : .none
        // A round trip is known, and the window is used up within two of them.
        #expect(client.kind(of: frame(.ping, number: 1)) == nil)
        try client.answerPing(after: .milliseconds(100))
        #expect(client.kind(of: frame(.data, 2, bytes(1_000))) == nil)
        client.consumed(two, 1_000, now: .start)
        let granted = client.frames().filter { $0.header.type == .credit }.map(\.number)
        #expect(granted == [isShort ? 2_000 : 3_000])
    }

    @Test("X10 while memory is short one read of each socket waits for the carrier", arguments: [false, true])
    func reads(isShort: Bool) throws {
        var server = try serverWithStream()
        server.pressure = isShort ? .shrinksWindows : .none
        #expect(server.accepts(two, bytes(1)) != isShort)
    }

    @Test(
        "X10 a session that is short of memory refuses streams, and does not count them as anomalies",
        arguments: MemoryPressure.allCases
    )
    func streams(pressure: MemoryPressure) throws {
        var client = session(.client, limits { $0.glitchesInTenSeconds = 1 })
        client.pressure = pressure
        for id in stride(from: UInt32(2), through: 10, by: 2) { #expect(client.kind(of: openFrame(id)) == nil) }
        let isRefused = pressure >= .refusesStreams
        #expect(client.holdings.streams == (isRefused ? 0 : 5))
        #expect(client.sent() == (isRefused ? [2, 4, 6, 8, 10].map { "reset \($0)" } : []))
    }

    @Test("X10 shedding resets the largest streams, as many as necessary, and spares those with little")
    func shedding() throws {
        var client = session(.client)
        for (id, count) in [(2, 60_000), (4, 20_000), (6, 40_000), (8, 100)] as [(UInt32, Int)] {
            #expect(client.kind(of: openFrame(id)) == nil)
            client.accept(StreamID(id), now: .start)
            #expect(client.kind(of: frame(.data, id, bytes(count))) == nil)
        }
        _ = (client.actions(), client.frames())
        client.shed(1)
        #expect(client.actions() == [.abort(two, .busy)])
        client.shed(60_000)
        #expect(client.actions() == [.abort(StreamID(6), .busy), .abort(StreamID(4), .busy)])
        client.shed(.max)
        #expect(client.actions().isEmpty, "streams that hold little are spared")
        #expect(client.sent() == ["reset 2", "reset 6", "reset 4"])
        #expect(client.holdings.bufferedBytes == 100)
    }

    @Test("X10 held memory is the sum of queued, received and unacknowledged bytes and the fixed costs")
    func held() throws {
        var server = session(.server)
        #expect(server.heldBytes == 0)
        let opened = server.open(visit, now: .start)
        let id = try #require(opened)
        #expect(server.heldBytes == MuxLimits.streamCost + MuxLimits.frameCost, "the stream, and its OPEN that waits")
        server.write(id, bytes(5_000))
        #expect(server.heldBytes == MuxLimits.streamCost + MuxLimits.frameCost + bytes(5_000).storageCapacity)
        let sent = server.frames().filter { $0.header.type.isCounted }
        let kept = sent.reduce(0) { $0 + $1.length }
        #expect(server.heldBytes == MuxLimits.streamCost + 2 * MuxLimits.frameCost + kept)
        #expect(server.kind(of: frame(.ack, number: 2)) == nil)
        #expect(server.heldBytes == MuxLimits.streamCost)
        server.reset(id, .connectionReset)
        _ = server.frames()
        #expect(server.kind(of: frame(.ack, number: 3)) == nil)
        #expect(server.heldBytes == 0)
    }

    @Test("X10 single bytes from a socket that wait are kept in few buffers, and leave in few frames")
    func singleBytes() throws {
        var server = try serverWithStream()
        for _ in 0..<10_000 { server.write(two, bytes(1)) }
        let lengths = server.frames().filter { $0.header.type == .data }.map(\.payload.readableBytes)
        #expect(lengths.reduce(0, +) == 10_000)
        #expect(lengths.count <= 4, "\(lengths)")
    }
}
