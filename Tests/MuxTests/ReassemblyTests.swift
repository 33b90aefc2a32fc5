import NIOCore
import Testing

@testable import Mux

/// Pieces of a stream that wait for earlier ones.
@Suite struct ReassemblyTests {
    /// The byte at an offset, so that overlapping pieces agree.
    private static func byte(_ offset: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: offset &* 31 &+ 7) }

    private static func piece(_ range: Range<UInt64>) -> ByteBuffer { buffer(range.map(byte)) }

    @Test(
        "random pieces leave in order and once, as a set of their offsets predicts",
        arguments: 0..<200 as Range<UInt64>
    )
    func model(seed: UInt64) {
        var random = SplitMix(state: seed)
        var held = Reassembly()
        var model: Set<UInt64> = []
        var position: UInt64 = 0
        for _ in 0..<300 {
            if UInt8.random(in: 0..<4, using: &random) > 0 {
                let start = position + UInt64.random(in: 0..<60, using: &random)
                let range = start..<start + UInt64.random(in: 1...25, using: &random)
                held.insert(Self.piece(range), at: range.lowerBound)
                model.formUnion(range)
            } else {
                // Other bytes may have come over the quickest way.
                position += UInt64.random(in: 0..<3, using: &random)
                while let piece = held.next(at: position) {
                    for byte in piece.readableBytesView {
                        #expect(byte == Self.byte(position) && model.contains(position))
                        position += 1
                    }
                }
                #expect(!model.contains(position), "what follows without a gap has left")
                model = model.filter { $0 > position }
            }
            #expect(held.end == model.max().map { $0 + 1 })
            #expect(held.isEmpty == model.isEmpty && (held.cost == 0) == model.isEmpty)
            #expect(held.cost >= model.count)
        }
        position = (model.max() ?? 0) + 1
        #expect(held.next(at: position) == nil && held.isEmpty && held.cost == 0, "earlier bytes are dropped")
    }

    @Test("a piece that is held already costs nothing")
    func duplicates() {
        var held = Reassembly()
        held.insert(Self.piece(10..<20), at: 10)
        held.insert(Self.piece(30..<40), at: 30)
        let cost = held.cost
        for range in [10..<20, 12..<15, 10..<11, 19..<20, 30..<40, 35..<40] as [Range<UInt64>] {
            held.insert(Self.piece(range), at: range.lowerBound)
        }
        #expect(held.cost == cost)
        held.insert(Self.piece(5..<45), at: 5)
        var all: [UInt8] = []
        while let piece = held.next(at: 5 + UInt64(all.count)) { all += piece.readableBytesView }
        #expect(all == (5..<45 as Range<UInt64>).map(Self.byte))
    }

    @Test("a small piece does not keep the read that it came with")
    func storage() throws {
        var held = Reassembly()
        let read = bytes(65_536)
        for index in 0..<100 { held.insert(try #require(read.getSlice(at: index, length: 1)), at: UInt64(2 * index)) }
        #expect(held.cost < 100 * (MuxLimits.frameCost + 64), "\(held.cost)")
        held.removeAll()
        #expect(held.isEmpty && held.cost == 0 && held.end == nil)
    }

    @Test("many pieces that arrive backwards, and leave one by one")
    func backwards() {
        var held = Reassembly()
        for offset in (0..<2_000 as Range<UInt64>).reversed() {
            held.insert(Self.piece(offset..<offset + 1), at: offset)
        }
        #expect(held.end == 2_000)
        for offset in 0..<2_000 as Range<UInt64> { #expect(held.next(at: offset) == Self.piece(offset..<offset + 1)) }
        #expect(held.isEmpty && held.cost == 0)
    }
}
