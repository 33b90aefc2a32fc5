import NIOCore
import Testing

@testable import Mux

/// Queued bytes, in the chunks in which they arrived.
@Suite struct ChunkQueueTests {
    private func chunk(_ count: Int, _ byte: UInt8 = 1) -> ByteBuffer { ByteBuffer(repeating: byte, count: count) }

    private func drained(_ queue: inout ChunkQueue) -> [Int] {
        var sizes: [Int] = []
        while let chunk = queue.popFirst() { sizes.append(chunk.readableBytes) }
        return sizes
    }

    @Test("chunks come out whole and in order, however many wait")
    func order() {
        var queue = ChunkQueue()
        for size in 5_000..<5_010 { queue.append(chunk(size)) }
        #expect(queue.bytes == (5_000..<5_010).reduce(0, +))
        let sizes = drained(&queue)
        #expect(sizes == Array(5_000..<5_010))
        #expect(queue.isEmpty)
        #expect(queue.bytes == 0)
    }

    @Test("small chunks share a buffer up to 4,096 bytes, behind the first chunk and behind a later one")
    func smallChunks() {
        var queue = ChunkQueue()
        for _ in 0..<4_096 { queue.append(chunk(1)) }
        queue.append(chunk(2))
        queue.append(chunk(3))
        #expect(queue.bytes == 4_101)
        let sizes = drained(&queue)
        #expect(sizes == [4_096, 5])
    }

    @Test("a small slice of a large buffer does not keep the buffer alive")
    func sparse() throws {
        var queue = ChunkQueue()
        let large = ByteBuffer(repeating: 7, count: 262_144)
        queue.append(try #require(large.getSlice(at: 0, length: 100)))
        let first = queue.popFirst()
        let kept = try #require(first)
        #expect(kept == chunk(100, 7))
        #expect(kept.storageCapacity < 1_024)
    }

    @Test("a chunk is taken in parts, and the rest stays first")
    func parts() {
        var queue = ChunkQueue()
        queue.append(chunk(5_000, 1))
        queue.append(chunk(6_000, 2))
        let parts = [4_999, 4_999, 6_000, 1].map { queue.popFirst(atMost: $0) }
        #expect(parts == [chunk(4_999, 1), chunk(1, 1), chunk(6_000, 2), nil])
        #expect(queue.bytes == 0)
    }

    @Test(
        "the first bytes are kept, in whole chunks and in a part of one",
        arguments: [0, 1, 5_000, 5_001, 11_000, 99_999]
    )
    func kept(count: Int) {
        var queue = ChunkQueue()
        queue.append(chunk(5_000, 1))
        queue.append(chunk(6_000, 2))
        queue.keep(first: count)
        #expect(queue.bytes == min(count, 11_000))
        var bytes: [UInt8] = []
        while let chunk = queue.popFirst() { bytes += Array(chunk.readableBytesView) }
        #expect(
            bytes == Array(([UInt8](repeating: 1, count: 5_000) + [UInt8](repeating: 2, count: 6_000)).prefix(count))
        )
        #expect(queue.isEmpty && queue.storage == 0)
    }

    @Test("a queue whose chunks were discarded is empty and takes new ones")
    func removal() {
        var queue = ChunkQueue()
        queue.append(chunk(5_000))
        queue.append(chunk(5_000))
        queue.removeAll()
        #expect(queue.isEmpty)
        queue.append(chunk(0))
        #expect(queue.isEmpty)
        queue.append(chunk(9))
        #expect(queue.bytes == 9)
        let only = queue.popFirst()
        #expect(only == chunk(9))
    }
}

@Suite("Queued bytes are counted by their buffers")
struct ChunkStorageTests {
    @Test("a slice of a large read is copied, and storage is the buffers' capacity", arguments: [100, 4_200, 60_000])
    func sparse(length: Int) {
        var queue = ChunkQueue()
        for _ in 0..<50 {
            var read = ByteBuffer(repeating: 1, count: 262_144)
            queue.append(read.readSlice(length: length) ?? ByteBuffer())
        }
        #expect(queue.bytes == 50 * length)
        #expect(queue.storage >= queue.bytes && queue.storage <= 2 * queue.bytes + 8_192)
        while queue.popFirst(atMost: 1_000) != nil { #expect(queue.storage >= queue.bytes) }
        #expect(queue.storage == 0)
    }

    @Test("packed chunks fill their buffers, and come out in order", arguments: [1, 700, 4_200, 16_383])
    func packed(length: Int) {
        var queue = ChunkQueue()
        var expected: [UInt8] = []
        for number in 0..<100 {
            let bytes = [UInt8](repeating: UInt8(number), count: length)
            queue.append(ByteBuffer(bytes: bytes), isPacked: true)
            expected += bytes
        }
        #expect(queue.storage <= 2 * queue.bytes + 32_768)
        if length == 4_200 { #expect(queue.storage <= queue.bytes * 5 / 4 + 32_768) }
        var all: [UInt8] = []
        while let chunk = queue.popFirst() { all += chunk.readableBytesView }
        #expect(all == expected && queue.storage == 0)
    }

    @Test("a queue whose chunks were discarded holds no storage")
    func removed() {
        var queue = ChunkQueue()
        queue.append(ByteBuffer(repeating: 1, count: 50_000))
        queue.removeAll()
        #expect(queue.storage == 0 && queue.bytes == 0)
    }
}
