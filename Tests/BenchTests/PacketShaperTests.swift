import Testing

@testable import culvert_bench

@Suite("The shaper of one direction of a path") struct PacketShaperTests {
    /// 10 ms in each direction, and 1,250 bytes in 10 ms.
    private static let slow = PathShape(delayMilliseconds: 10, megabitsPerSecond: 1, lossPercent: 0)
    private static let bytes = 1_250

    private func arrival(_ fate: PacketShaper.Fate) -> Double? {
        if case .arrives(let time) = fate { time } else { nil }
    }

    @Test("a packet arrives after its time at the bottleneck and the delay") func onePacket() throws {
        var shaper = PacketShaper(Self.slow, seed: 1)
        let time = try #require(arrival(shaper.take(bytes: Self.bytes, at: 5)))
        #expect(abs(time - 5.020) < 1e-9)
    }

    @Test("packets that come at once leave at the rate, and a pause gives no credit") func rate() throws {
        var shaper = PacketShaper(Self.slow, seed: 1)
        for number in 1...5 {
            let time = try #require(arrival(shaper.take(bytes: Self.bytes, at: 0)))
            #expect(abs(time - 0.010 * Double(number) - 0.010) < 1e-9)
        }
        let late = try #require(arrival(shaper.take(bytes: Self.bytes, at: 60)))
        #expect(abs(late - 60.020) < 1e-9)
    }

    @Test(
        "the queue drops at its tail, after 100 ms or one round trip, whichever is longer",
        arguments: [(10, 0.1), (50, 0.1), (200, 0.4)] as [(Double, Double)]
    )
    func queue(delay: Double, seconds: Double) {
        let shape = PathShape(delayMilliseconds: delay, megabitsPerSecond: 1, lossPercent: 0)
        var shaper = PacketShaper(shape, seed: 1)
        let count = Int((seconds / shape.transmission(ofBytes: Self.bytes)).rounded())
        for _ in 0..<2 * count { _ = shaper.take(bytes: Self.bytes, at: 0) }
        // The packet that the bottleneck sends does not wait.
        #expect((count...count + 1).contains(shaper.counts.passed))
        #expect(shaper.counts.overflowed == 2 * count - shaper.counts.passed)
        // The queue is empty again after its length.
        #expect(arrival(shaper.take(bytes: Self.bytes, at: 2 * seconds)) != nil)
    }

    @Test("a seed determines which packets are lost, and the share is that of the path") func loss() {
        let shape = PathShape(delayMilliseconds: 1, megabitsPerSecond: 10_000, lossPercent: 1)
        func lost(seed: UInt64) -> [Int] {
            var shaper = PacketShaper(shape, seed: seed)
            return (0..<20_000).filter { shaper.take(bytes: 100, at: Double($0)) == .lost }
        }
        #expect(lost(seed: 1) == lost(seed: 1))
        #expect(lost(seed: 1) != lost(seed: 2))
        #expect((160...240).contains(lost(seed: 1).count))
    }

    @Test("a lost packet takes no time at the bottleneck") func lossBeforeQueue() {
        let shape = PathShape(delayMilliseconds: 0, megabitsPerSecond: 1, lossPercent: 50)
        var shaper = PacketShaper(shape, seed: 3)
        var passed = 0
        while passed < 5 {
            guard let time = arrival(shaper.take(bytes: Self.bytes, at: 0)) else { continue }
            passed += 1
            #expect(abs(time - 0.010 * Double(passed)) < 1e-9)
        }
        #expect(shaper.counts.lost > 0)
    }
}
