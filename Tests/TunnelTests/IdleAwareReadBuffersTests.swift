import NIOCore
import Testing

@testable import TunnelCore

/// How large a stream's socket is read.
@Suite struct IdleAwareReadBuffersTests {
    /// How much the next read may bring.
    private func size(_ reads: IdleAwareReadBuffers) -> Int {
        reads.buffer(allocator: ByteBufferAllocator()).writableBytes
    }

    @Test("the first read, whose buffer is kept for life, is small, and the next is not, whatever came")
    func first() {
        for count in [1, 511, 512] {
            var reads = IdleAwareReadBuffers(largest: 262_144)
            #expect(size(reads) == 512)
            let takesNew = reads.record(actualReadBytes: count)
            #expect(takesNew)
            #expect(size(reads) == 2_048)
        }
    }

    @Test("a busy socket is read in larger and larger pieces, up to the largest")
    func busy() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        var sizes: [Int] = []
        for _ in 0..<10 {
            sizes.append(size(reads))
            _ = reads.record(actualReadBytes: size(reads))
        }
        #expect(sizes == [512, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 253_952, 253_952])
    }

    @Test("two small reads in a row halve the next, and one does not")
    func quiet() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        for _ in 0..<9 { _ = reads.record(actualReadBytes: size(reads)) }
        for count in [100, 200_000, 100] { _ = reads.record(actualReadBytes: count) }
        #expect(size(reads) == 253_952)
        _ = reads.record(actualReadBytes: 131_072)
        #expect(size(reads) == 131_072)
        for _ in 0..<100 { _ = reads.record(actualReadBytes: 1) }
        #expect(size(reads) == 2_048)
    }

    @Test("what the largest read brings, framed, fits into one read of a carrier, and nothing stands before it")
    func spare() {
        var reads = IdleAwareReadBuffers(largest: 262_144)
        for _ in 0..<9 { _ = reads.record(actualReadBytes: size(reads)) }
        let buffer = reads.buffer(allocator: ByteBufferAllocator())
        #expect(buffer.readableBytes == 0)
        // In pieces of 16 KiB, each with a frame's head of 8 bytes and a WebSocket's of 14.
        let frames = (buffer.writableBytes + 16_383) / 16_384
        #expect(buffer.writableBytes + frames * (8 + 14) <= 262_144)
    }

    /// What is larger than three words gets memory of its own where it stands for its protocol.
    @Test("it costs a socket no memory of its own")
    func words() {
        #expect(MemoryLayout<IdleAwareReadBuffers>.size <= 3 * MemoryLayout<Int>.size)
    }
}
