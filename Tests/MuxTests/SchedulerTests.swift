import NIOCore
import Testing

@testable import Mux

/// Which stream sends next (page SendingPolicy).
@Suite struct SchedulerTests {
    /// A server with streams that have unlimited credit and nothing queued.
    private func server(_ count: Int, limits: MuxLimits = MuxLimits()) -> Session {
        var limits = limits
        limits.streams = count
        limits.opening = count
        limits.replayBytes = .max
        limits.queuedBytes = .max
        var server = session(.server, limits, window: .max)
        for _ in 0..<count { _ = server.open(visit, now: .start) }
        _ = server.frames()
        server.congestion = CongestionWindow(ackDelay: .milliseconds(20), first: Int(Int32.max), now: .start)
        return server
    }

    private func id(_ index: Int) -> StreamID { StreamID(UInt32(index) * 2 + 2) }

    @Test("an interactive stream sends first; bulk streams send 16 KiB each in turn")
    func sharedFrames() {
        var server = server(3)
        server.write(id(0), bytes(100_000))
        server.write(id(1), bytes(40_000))
        server.write(id(2), bytes(1))
        let frames = server.frames()
        let sent = frames.map { "\($0.header.stream):\($0.payload.readableBytes)" }
        #expect(
            sent == [
                "6:1", "2:16384", "4:16384", "2:16384", "4:16384", "2:16384", "4:7232", "2:16384", "2:16384", "2:16384",
                "2:1696",
            ]
        )
    }

    @Test("control frames overtake DATA, and PING, PONG and ACK overtake control frames")
    func controlFirst() throws {
        var server = server(2)
        server.write(id(0), bytes(100_000))
        _ = server.nextFrame(now: .start)
        server.drain(Refusal(.goingAway, ""))
        server.reset(id(1), .timeout)
        try server.receive(frame(.ping, number: 1), now: .start)
        #expect(server.sent().prefix(4) == ["pong", "goAway", "reset 4", "data 2"])
    }

    @Test("an interactive stream does not wait behind bulk streams")
    func interactiveBesideBulk() throws {
        var server = server(11)
        for index in 0..<10 { server.write(id(index), bytes(1_000_000)) }
        for _ in 0..<25 { _ = server.nextFrame(now: .start) }
        server.write(id(10), bytes(1))
        #expect(server.nextFrame(now: .start)?.header.stream == id(10))
        #expect(server.nextFrame(now: .start)?.payload.readableBytes == MuxLimits.sharedData)
    }

    @Test("M27 many interactive streams do not starve a bulk stream: eight of their frames, then one of its")
    func interactiveInARow() {
        var server = server(101)
        server.write(id(0), bytes(200_000))
        for index in 1...100 { server.write(id(index), bytes(SendScheduler.interactiveBytes)) }
        let sizes = (0..<36).compactMap { _ in server.nextFrame(now: .start)?.payload.readableBytes }
        for (index, size) in sizes.enumerated() {
            let isBulk = index % (SendScheduler.interactiveInARow + 1) == SendScheduler.interactiveInARow
            #expect(size == (isBulk ? MuxLimits.sharedData : SendScheduler.interactiveBytes), "frame \(index)")
        }
    }

    @Test("a stream with one byte too many is a bulk stream, and so is the rest of an interactive stream")
    func interactiveLimit() {
        var server = server(4)
        server.write(id(0), bytes(20_000))
        server.write(id(1), bytes(SendScheduler.interactiveBytes + 1))
        server.write(id(2), bytes(SendScheduler.interactiveBytes))
        server.write(id(3), bytes(10))
        server.write(id(3), bytes(SendScheduler.interactiveBytes))
        let sent = server.frames().map { "\($0.header.stream):\($0.payload.readableBytes)" }
        #expect(sent == ["6:4096", "8:10", "2:16384", "4:4097", "8:4096", "2:3616"])
    }

    @Test(
        "a full window stops bulk streams, then interactive ones, and a full replay buffer stops all counted frames"
    )
    func rooms() throws {
        var limits = MuxLimits()
        limits.replayBytes = 400_000
        var server = session(.server, limits, window: .max)
        for _ in 0..<3 { _ = server.open(visit, now: .start) }
        _ = server.frames()
        let first = CongestionWindow.first
        server.write(id(0), bytes(limits.queuedBytes / 2))
        var sent = 0
        while let frame = server.nextFrame(now: .start) { sent += frame.length }
        #expect(sent >= first - 1_000 && sent < first + MuxLimits.maximumData, "a bulk stream stops at the window")
        server.write(id(1), bytes(100))
        #expect(server.frames().map(\.payload.readableBytes) == [100], "an interactive stream does not")
        var interactive = 0
        while true {
            server.write(id(2), bytes(SendScheduler.interactiveBytes))
            guard let frame = server.nextFrame(now: .start) else { break }
            interactive += frame.length
        }
        #expect(
            interactive > 0 && interactive <= SendScheduler.reserve + SendScheduler.interactiveBytes,
            "up to the reserve"
        )
        server.reset(id(1), .connectionReset)
        #expect(server.sent() == ["reset 4"], "control frames still leave")
        limits.replayBytes = 1_000
        var full = session(.server, limits, window: .max)
        _ = full.open(visit, now: .start)
        _ = full.frames()
        full.write(id(0), bytes(1_000))
        _ = full.frames()
        full.drain(Refusal(.goingAway, ""))
        try full.receive(frame(.ping, number: 1), now: .start)
        #expect(full.sent() == ["pong"], "a full replay buffer stops all counted frames")
    }

    @Test("M27 while the window is full, many interactive streams leave a bulk stream its turns", arguments: [10, 100])
    func bulkBesideManyInteractive(others: Int) throws {
        var limits = MuxLimits()
        limits.opening = 200
        var server = session(.server, limits, window: .max)
        for _ in 0...others { _ = server.open(visit, now: .start) }
        var acknowledged = UInt64(server.frames().count { $0.header.type.isCounted })
        // 1 Mbit/s, and 50 ms until the acknowledgement of a frame arrives.
        var inFlight: [(stream: StreamID, bytes: Int, acknowledged: Double)] = []
        var now = 0.0, isFree = 0.0, bulk = 0, all = 0
        for index in 1...others { server.write(id(index), bytes(SendScheduler.interactiveBytes)) }
        while now < 120 {
            server.write(id(0), bytes(20_000))
            while let frame = server.nextFrame(now: .at(.seconds(now))) {
                guard frame.header.type == .data else { continue }
                isFree = max(isFree, now) + Double(frame.length) / 125_000
                inFlight.append((frame.header.stream, frame.length, isFree + 0.05))
            }
            _ = server.actions()
            guard !inFlight.isEmpty else { break }
            let (stream, length, ackTime) = inFlight.removeFirst()
            now = ackTime
            acknowledged += 1
            try server.receive(frame(.ack, number: acknowledged), now: .at(.seconds(now)))
            all += length
            // The service has answered, and the visitor sends the next request.
            if stream == id(0) { bulk += length } else { server.write(stream, bytes(SendScheduler.interactiveBytes)) }
        }
        #expect(now > 100 && bulk < all / 2)
        #expect(bulk > all / 10, "\(bulk) of \(all) bytes were the bulk stream's")
    }

    @Test("the measurements of the path start anew with each carrier")
    func anotherCarrier() throws {
        var server = server(1)
        #expect(server.congestion.window > CongestionWindow.first)
        try server.attach(peerReceived: 1, now: .start)
        #expect(server.congestion.window == CongestionWindow.first)
    }

    @Test("on a fast path frames are long, since even a long one leaves within 1 ms")
    func longFrames() throws {
        var server = server(2)
        server.write(id(0), bytes(1_000_000))
        server.write(id(1), bytes(1_000_000))
        #expect(server.nextFrame(now: .start)?.payload.readableBytes == MuxLimits.sharedData)
        // Two OPENs and one DATA.
        try server.receive(frame(.ack, number: 3), now: .at(.microseconds(100)))
        #expect(server.nextFrame(now: .start)?.payload.readableBytes == MuxLimits.maximumData)
    }

    @Test("a bulk stream sends a whole quantum, interactive frames in between; a stream without bytes ends its quantum")
    func quanta() {
        var scheduler = SendScheduler()
        let room = SendScheduler.Room.chunks(shared: 10_000, alone: 20_000, quantum: 30_000)
        func stream(_ index: Int, _ count: Int, credit: UInt32 = .max) -> Stream {
            let stream = Stream(id: id(index), sendWindow: credit, receiveWindow: 0, now: .start)
            stream.append(bytes(count))
            scheduler.schedule(stream)
            return stream
        }
        func next(_ count: Int) -> [String] {
            (0..<count).compactMap { _ in
                scheduler.next(room).map { "\($0.frame.header.stream):\($0.frame.payload.readableBytes)" }
            }
        }
        _ = stream(0, 85_000)
        let dead = stream(1, 100_000)
        _ = stream(2, 100_000, credit: 15_000)
        _ = stream(3, 40_000)
        #expect(next(2) == ["2:10000", "2:10000"])
        _ = stream(4, 100)
        #expect(next(2) == ["10:100", "2:10000"], "an interactive stream waits for a frame, not a quantum")
        #expect(next(2) == ["4:10000", "4:10000"])
        dead.abandon()
        #expect(next(2) == ["6:10000", "6:5000"])
        #expect(
            next(3) == ["8:10000", "8:10000", "8:10000"],
            "a stream that ends early in its quantum does not shorten the next stream's quantum"
        )
        #expect(next(9) == ["2:10000", "2:10000", "2:10000", "8:10000", "2:20000", "2:5000"])
        #expect(scheduler.isEmpty)
    }

    @Test("after random operations all written bytes leave, and no stream has two quanta in a row while others wait")
    func randomQuanta() {
        for seed in UInt64(1)...20 {
            var random = SplitMix(state: seed)
            var scheduler = SendScheduler()
            let streams = (0..<8).map { index in
                Stream(id: id(index), sendWindow: 200_000, receiveWindow: 0, now: .start)
            }
            var written = [Int](repeating: 0, count: 8), sent = written, limits = [UInt64](repeating: 200_000, count: 8)
            var inARow = (index: -1, bytes: 0)
            for step in 0..<2_000 {
                let index = Int.random(in: 0..<8, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where step < 1_500:
                    let count = Int.random(in: 1...300_000, using: &random)
                    streams[index].append(bytes(count))
                    written[index] += count
                    scheduler.schedule(streams[index])
                case 1:
                    limits[index] += 100_000
                    _ = try? streams[index].grant(limits[index])
                    scheduler.schedule(streams[index])
                default:
                    let shared = [16_384, 65_536][Int.random(in: 0..<2, using: &random)]
                    guard let next = scheduler.next(.chunks(shared: shared, alone: 65_536, quantum: 262_144)) else {
                        continue
                    }
                    let from = (Int(next.frame.header.stream.rawValue) - 2) / 2
                    guard next.frame.header.type == .data else { continue }
                    sent[from] += next.frame.payload.readableBytes
                    guard !next.isShort else { continue }
                    inARow = (from, (inARow.index == from ? inARow.bytes : 0) + next.frame.payload.readableBytes)
                    let isAlone = streams.enumerated().allSatisfy { $0.offset == from || !$0.element.isReady }
                    if isAlone { inARow.bytes = 0 }
                    #expect(inARow.bytes <= 262_144 + 65_536, "seed \(seed), step \(step)")
                }
            }
            for index in 0..<8 {
                _ = try? streams[index].grant(UInt64(written[index]) + limits[index])
                streams[index].finish()
                scheduler.schedule(streams[index])
            }
            while let next = scheduler.next(.chunks(shared: 16_384, alone: 65_536, quantum: 262_144)) {
                guard next.frame.header.type == .data else { continue }
                sent[(Int(next.frame.header.stream.rawValue) - 2) / 2] += next.frame.payload.readableBytes
            }
            #expect(sent == written && scheduler.isEmpty, "seed \(seed)")
        }
    }

    @Test("a quantum is what leaves within 1 ms: one frame on a slow path, up to four on a fast one")
    func quantumOfThePath() throws {
        for (time, inARow) in [
            (Duration.microseconds(1_000), 1), (.microseconds(400), 2), (.microseconds(100), 2), (.microseconds(10), 4),
        ] {
            var server = server(2)
            server.write(id(0), bytes(1_000_000))
            server.write(id(1), bytes(1_000_000))
            _ = server.nextFrame(now: .start)
            // Two OPENs and one DATA of 16 KiB.
            try server.receive(frame(.ack, number: 3), now: .at(time))
            let streams = (0..<12).compactMap { _ in server.nextFrame(now: .at(time))?.header.stream }
            #expect(streams == (0..<12).map { id($0 / inARow % 2 == 0 ? 1 : 0) }, "\(time)")
        }
    }

    @Test("a quantum that the window interrupts continues once there is room; a new carrier begins with single frames")
    func interruptedQuantum() throws {
        var server = server(3)
        for index in 0..<2 { server.write(id(index), bytes(1_000_000)) }
        _ = server.nextFrame(now: .start)
        try server.receive(frame(.ack, number: 4), now: .at(.microseconds(10)))
        let now = Instant.at(.microseconds(20))
        func streams(_ count: Int) -> [StreamID] {
            (0..<count).compactMap { _ in server.nextFrame(now: now)?.header.stream }
        }
        #expect(streams(2) == [id(1), id(1)])
        // The window is full: only the interactive stream sends.
        server.congestion = CongestionWindow(ackDelay: .milliseconds(20), first: 100_000, now: now)
        server.write(id(2), bytes(1))
        #expect(streams(3) == [id(2)])
        try server.receive(frame(.ack, number: 6), now: .at(.microseconds(30)))
        #expect(streams(3) == [id(1), id(1), id(0)])
        try server.attach(peerReceived: 10, now: now)
        // The rate of the new path is not known: one frame for each stream, from the stream whose turn it is.
        #expect(streams(4) == [id(0), id(1), id(0), id(1)])
    }

    @Test("the window shrinks after another stream's short chunk, and not after a bulk stream's own first bytes")
    func windowAfterShortChunk() throws {
        var server = server(3)
        server.congestion = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        var sent: UInt64 = 3
        /// The window after `count` bytes of a stream have left and were acknowledged 100 µs later.
        func window(_ count: Int, of index: Int, at time: Duration) throws -> Int {
            server.write(id(index), bytes(count))
            while server.nextFrame(now: .at(time)) != nil { sent += 1 }
            try server.receive(frame(.ack, number: sent), now: .at(time + .microseconds(100)))
            return server.congestion.window
        }
        let long = 500_000
        for _ in 0..<3 { _ = try window(long, of: 0, at: .zero) }
        let bulk = try window(long, of: 0, at: .zero)
        // The allowance is smaller, and so is the gain of startup.
        let besideInteractive =
            Int(CongestionWindow.startupGain.later * server.congestion.product)
            + CongestionWindow.ackAllowance.interactive
        let sentAt = Duration.milliseconds(10)
        #expect(try window(1, of: 1, at: sentAt) == besideInteractive)
        #expect(try window(long, of: 0, at: sentAt + .milliseconds(500)) == besideInteractive)
        #expect(try window(long, of: 0, at: sentAt + CongestionWindow.interactiveSpan) == bulk)
        // Only a long frame of 64 KiB makes a stream a bulk stream, not a shorter one.
        #expect(try window(SendScheduler.interactiveBytes, of: 2, at: .seconds(3)) == besideInteractive)
        #expect(try window(MuxLimits.maximumData - 1, of: 2, at: .seconds(3) + .milliseconds(1)) == besideInteractive)
        #expect(try window(MuxLimits.maximumData, of: 2, at: .seconds(3) + .milliseconds(2)) == bulk)
    }

    @Test("a new bulk stream gets its share beside bulk streams with wide windows", arguments: [2, 8, 64])
    func newcomer(others: Int) throws {
        var (server, client) = (session(.server, window: 65_536), session(.client))
        var now = Instant.start
        let read = bytes(253_952)
        var sent: [StreamID: Int] = [:]
        var readable: Set<StreamID> = []
        /// All streams send as fast as a path of 1 GB/s permits.
        func run(_ time: Duration) throws {
            let end = now + time
            while now < end {
                for id in readable.sorted() where !server.accepts(id, read) { readable.remove(id) }
                while let frame = server.nextFrame(now: now) {
                    now = now + .nanoseconds(frame.length)
                    let (stream, count) = (frame.header.stream, frame.payload.readableBytes)
                    sent[stream]? += count
                    try client.receive(frame.arrived, now: now)
                    if frame.header.type == .data { client.consumed(stream, count, now: now) }
                }
                for case .sendable(let id) in server.actions() { readable.insert(id) }
                _ = client.actions()
                now = now + .microseconds(50)
                while let frame = client.nextFrame(now: now) { try server.receive(frame.arrived, now: now) }
                try client.tick(now: now)
                try server.tick(now: now)
            }
        }
        func open() throws {
            let opened = server.open(visit, now: now)
            let id = try #require(opened)
            sent[id] = 0
            readable.insert(id)
            try run(.milliseconds(1))
            client.accept(id, now: now)
        }
        for _ in 0..<others { try open() }
        try run(.milliseconds(150))
        try open()
        try run(.milliseconds(150))
        for id in sent.keys { sent[id] = 0 }
        try run(.milliseconds(150))
        let shares = sent.sorted { $0.key < $1.key }.map(\.value)
        let share = try #require(shares.last)
        #expect(share * shares.count > shares.reduce(0, +) * 8 / 10, "\(shares)")
    }

    @Test("M15 the scheduler skips a stream without credit")
    func blocked() throws {
        var server = session(.server, window: 100)
        for _ in 0..<3 { _ = server.open(visit, now: .start) }
        _ = server.frames()
        for index in 0..<3 { server.write(id(index), bytes(300)) }
        _ = server.frames()
        try server.receive(frame(.credit, 4, number: 1_000), now: .start)
        #expect(server.sent() == ["data 4"])
        try server.receive(frame(.credit, 2, number: 150), now: .start)
        try server.receive(frame(.credit, 6, number: 1_000), now: .start)
        #expect(server.frames().map(\.payload.readableBytes) == [50, 200])
    }

    @Test("a stream that is reset while it waits sends its bytes in its turn, and its RESET behind them")
    func resetWhileWaiting() {
        var server = server(2)
        server.write(id(0), bytes(100))
        server.write(id(1), bytes(100))
        server.reset(id(0), .connectionReset)
        #expect(server.sent() == ["data 2", "data 4", "reset 2"])
        #expect(server.holdings.queuedBytes == 0)
        #expect(server.actions().isEmpty, "a stream that was reset is not reported as sendable")
    }

    @Test("10,000 streams take turns on the carrier, and each step is cheap")
    func many() {
        let count = 10_000
        var server = server(count)
        for index in 0..<count { server.write(id(index), bytes(20_000)) }
        let begun = ContinuousClock.now
        let frames = server.frames()
        #expect(frames.count == 2 * count)
        #expect(frames.prefix(count).map(\.header.stream) == (0..<count).map(id))
        #expect(frames.suffix(count).map(\.header.stream) == (0..<count).map(id))
        for index in 0..<count { server.reset(id(index), .connectionReset) }
        #expect(server.frames().count == count)
        #expect(server.streamCount == 0)
        #expect(ContinuousClock.now - begun < .seconds(10), "not quadratic in the number of streams")
    }
}
