import Testing

@testable import Mux

/// What bulk on several lanes may take of the session's memory (the page SendingPolicy).
@Suite struct LaneShareTests {
    private let four = StreamID(4)

    /// A server's session with lanes 0 to `last`, of which lane 0 has just carried interactive bytes, and with more bulk
    /// than may be in flight: chunks of the sizes `first`, and then of long frames.
    private func server(lanes last: UInt32, _ replayBytes: Int, first: [Int] = []) throws -> Session {
        var server = try serverWithStream(
            limits {
                $0.replayBytes = replayBytes
                $0.queuedPerStream = 8_388_608
                $0.bufferedBytes = 33_554_432
            },
            window: 8_388_608
        )
        try server.open(lanes: 1...last)
        #expect(server.open(visit, now: .start) == four)
        _ = server.frames(on: 0)
        try server.receive(frame(.accept, 4), now: .start)
        server.write(four, bytes(10))
        #expect(server.sent(on: 0).count == 1)
        for index in server.lanes.indices {
            let interactive = server.lanes[index].congestion.interactive
            server.lanes[index].congestion = .wide
            server.lanes[index].congestion.interactive = interactive
        }
        for size in first { server.write(two, bytes(size)) }
        for _ in 0..<80 { server.write(two, bytes(MuxLimits.maximumData)) }
        return server
    }

    @Test(
        "bulk on one lane takes all that may be unacknowledged, but an eighth for interactive streams on another",
        arguments: [262_144, 524_288, 1_048_576, 4_194_304]
    )
    func oneForBulk(replayBytes: Int) throws {
        var server = try server(lanes: 1, replayBytes)
        _ = server.frames(on: 1)
        let cost = server.lanes[1].replay.cost
        let reserve = max(replayBytes / 8, MuxLimits.maximumData + SendScheduler.reserve)
        #expect(server.keptCost >= replayBytes - reserve && cost < replayBytes - SendScheduler.reserve)
        server.write(four, bytes(10))
        #expect(server.sent(on: 0).count == 1)
    }

    @Test(
        "of two lanes for bulk, none takes so much that bulk on the other pauses if it dies",
        arguments: [262_144, 524_288, 1_048_576, 4_194_304]
    )
    func twoForBulk(replayBytes: Int) throws {
        var server = try server(lanes: 2, replayBytes)
        _ = server.frames(on: 1)
        let forBulk = replayBytes - max(replayBytes / 8, MuxLimits.maximumData + SendScheduler.reserve)
        let most = max(forBulk / 2, MuxLimits.sharedData + MuxLimits.maximumData) + MuxLimits.frameCost + 16
        #expect(server.lanes[1].replay.cost <= most)
        #expect(!server.frames(on: 2).isEmpty)
        server.write(four, bytes(10))
        #expect(server.sent(on: 0).count == 1)
    }

    @Test(
        "of two lanes for bulk, one leaves a frame to the other also after shorter frames",
        arguments: [[16_384, 16_384, 16_384, 15_551], [16_000], [65_000], [40_000, 20_000, 5_000], [16_383, 100]]
    )
    func mixedFrames(first: [Int]) throws {
        for replayBytes in [262_144, 300_000, 391_935, 391_936, 524_288] {
            var server = try server(lanes: 2, replayBytes, first: first)
            #expect(!server.frames(on: 1).isEmpty)
            #expect(!server.frames(on: 2).isEmpty, "\(replayBytes)")
        }
    }
}

extension CongestionWindow {
    /// A window of a path that holds more than the replay buffer, so that frames have 64 KiB.
    fileprivate static var wide: CongestionWindow {
        var window = CongestionWindow(ackDelay: .milliseconds(20), now: .start)
        window.restart(now: .start)
        let sample = window.sample(now: .start)
        window.acknowledged(16_777_216, sample, now: .start + .milliseconds(100))
        return window
    }
}
