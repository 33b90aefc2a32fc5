import NIOCore
import Testing

@testable import Mux

/// Frames of a lost lane that wait for another one.
@Suite struct MovedFramesTests {
    private func frame(_ offset: UInt64, _ count: Int) -> OutboundFrame {
        OutboundFrame(data: bytes(count), of: two, at: offset, showsOffset: true)
    }

    @Test("short and long frames leave in the order in which each kind came, and cost nothing afterwards")
    func order() {
        var random = SplitMix(state: 3)
        var moved = MovedFrames()
        var (short, long): ([UInt64], [UInt64]) = ([], [])
        for offset in 0..<200 as Range<UInt64> {
            let count = Int.random(in: 1...2 * SendScheduler.interactiveBytes, using: &random)
            moved.append(frame(offset, count))
            if count <= SendScheduler.interactiveBytes { short.append(offset) } else { long.append(offset) }
        }
        #expect(!moved.isEmpty && moved.cost > 200 * MuxLimits.frameCost && !short.isEmpty && !long.isEmpty)
        var (left, right): ([UInt64], [UInt64]) = ([], [])
        while !moved.isEmpty {
            if Bool.random(using: &random) {
                if let frame = moved.nextShort() { left.append(frame.offset) }
            } else if let frame = moved.nextLong() {
                right.append(frame.offset)
            }
        }
        #expect(left == short && right == long && moved.cost == 0)
        #expect(moved.nextShort() == nil && moved.nextLong() == nil)
    }

    @Test("the longest short frame is as long as an interactive one")
    func boundary() {
        var moved = MovedFrames()
        moved.append(frame(0, SendScheduler.interactiveBytes))
        moved.append(frame(1, SendScheduler.interactiveBytes + 1))
        moved.append(OutboundFrame(.end, two, number: 2))
        #expect([moved.nextShort()?.offset, moved.nextLong()?.offset] == [0, 1])
        #expect(moved.nextShort()?.header.type == .end)
        moved.append(frame(0, 1))
        moved.removeAll()
        #expect(moved.isEmpty && moved.cost == 0)
    }
}
