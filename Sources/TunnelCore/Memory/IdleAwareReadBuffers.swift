import NIOCore

/// The sizes of a socket's read buffers: large while it is busy, and almost nothing while it is idle.
///
/// NIO's own pool keeps the last buffer of each channel while the channel lives. After one burst that is a quarter of a MiB
/// for each of thousands of streams. If the allocator gives no hint about the next size and always "may grow", NIO takes a
/// new buffer for each read, and keeps only the very first. That one is small: most requests fit, and an idle stream
/// keeps little.
///
/// Three words, so that it costs a socket no memory of its own.
package struct IdleAwareReadBuffers: RecvByteBufferAllocator {
    /// The size of a socket's first read, which is kept as long as the socket lives.
    private static let first: UInt32 = 512
    /// The least size of all others.
    private static let smallest: UInt32 = 2_048

    /// Bytes that the largest reads leave free. One read is then four of the longest DATA frames. With their heads and
    /// seals it fits into one read of the carrier at the other end. A buffer's size is a power of two, and NIO fills it. So
    /// the free bytes are a gap at its front.
    package static let spare = 1_024

    private let largest: UInt32
    private let spare: UInt16
    private var size = first
    /// The last read was small; after a second one the size is halved.
    private var wasSmall = false

    /// - Parameters:
    ///   - largest: the size of a busy socket's reads, from 2 KiB to 1 GiB.
    ///   - spare: what the largest reads leave free.
    package init(largest: Int, spare: Int = Self.spare) {
        self.spare = UInt16(clamping: spare)
        self.largest = UInt32(clamping: min(max(largest, 2 * Self.spare), 1 << 30))
    }

    /// Bytes at the front of the next buffer that nothing is read into.
    private var gap: Int { size < largest ? 0 : Int(spare) }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: Int(size))
        buffer.moveWriterIndex(to: gap)
        buffer.moveReaderIndex(to: gap)
        return buffer
    }

    package mutating func record(actualReadBytes: Int) -> Bool {
        if actualReadBytes >= Int(size) - gap {
            size = min(max(size * 2, Self.smallest), largest)
            wasSmall = false
        } else if size < Self.smallest {
            size = Self.smallest
        } else if actualReadBytes <= Int(size / 2) {
            if wasSmall { size = max(size / 2, Self.smallest) }
            wasSmall.toggle()
        } else {
            wasSmall = false
        }
        return true
    }
}
