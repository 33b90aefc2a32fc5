import Mux
import NIOCore
import Testing

@testable import TunnelCore

/// The sizes of read buffers for a stream's socket.
@Suite struct IdleAwareReadBuffersTests {
    /// The size of the next read's buffer.
    private func size(_ reads: IdleAwareReadBuffers) -> Int {
        reads.buffer(allocator: ByteBufferAllocator()).writableBytes
    }

    @Test("The first buffer, which is kept, is small, and the next one is larger for any read")
    func first() {
        for count in [1, 511, 512] {
            var reads = IdleAwareReadBuffers(largest: 262_144)
            #expect(size(reads) == 512)
            let takesNew = reads.record(actualReadBytes: count)
            #expect(takesNew)
            #expect(size(reads) == 2_048)
        }
    }

    @Test("The buffers of a busy socket grow to the maximum")
    func busy() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        var sizes: [Int] = []
        for _ in 0..<10 {
            sizes.append(size(reads))
            _ = reads.record(actualReadBytes: size(reads))
        }
        #expect(sizes == [512, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 261_120, 261_120])
    }

    @Test("Two small reads in a row halve the next buffer, and one does not")
    func quiet() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        for _ in 0..<9 { _ = reads.record(actualReadBytes: size(reads)) }
        for count in [100, 200_000, 100] { _ = reads.record(actualReadBytes: count) }
        #expect(size(reads) == 261_120)
        _ = reads.record(actualReadBytes: 131_072)
        #expect(size(reads) == 131_072)
        for _ in 0..<100 { _ = reads.record(actualReadBytes: 1) }
        #expect(size(reads) == 2_048)
    }

    @Test("The largest read with heads and seals of its frames fits into one read of a carrier")
    func spare() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        for _ in 0..<9 { _ = reads.record(actualReadBytes: size(reads)) }
        let buffer = reads.buffer(allocator: ByteBufferAllocator())
        #expect(buffer.readableBytes == 0)
        // Each chunk of 16 KiB has a frame header of 8 bytes, an offset of 8, a WebSocket header of 14, and a seal of 16.
        let frames = (buffer.writableBytes + 16_383) / 16_384
        #expect(buffer.writableBytes + frames * (8 + 8 + 14 + 16) <= 262_144)
    }

    @Test("The longest DATA frame out of the largest read of a carrier is delivered without a copy")
    func density() throws {
        var reads = IdleAwareReadBuffers(largest: 262_144, spare: 0)
        for _ in 0..<9 { _ = reads.record(actualReadBytes: size(reads)) }
        var read = reads.buffer(allocator: ByteBufferAllocator())
        read.writeRepeatingByte(1, count: 261_120)
        let slice = read.readSlice(length: MuxLimits.maximumData)
        let frame = try #require(slice)
        #expect(frame.dense(from: StreamPipe.sparsest).storageCapacity == read.storageCapacity)
    }

    /// A value of more than three words would be allocated on the heap as an existential.
    @Test("The buffers' state needs no heap allocation")
    func words() {
        #expect(MemoryLayout<IdleAwareReadBuffers>.size <= 3 * MemoryLayout<Int>.size)
    }
}
