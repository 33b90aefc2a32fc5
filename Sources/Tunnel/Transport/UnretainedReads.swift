import NIOCore

/// How large a stream's socket is read: large while it is busy, and nothing is kept while it idles.
///
/// NIO's own pool keeps the last buffer of each channel for life, which after one burst is a quarter of a MiB for each
/// of thousands of streams. Without a hint about the next size, and with a buffer that always "may grow", it takes a new
/// one for each read and keeps none but the first, which is small.
struct UnretainedReads: RecvByteBufferAllocator {
    private var sizes: AdaptiveRecvByteBufferAllocator

    /// - Parameter largest: the size of a busy socket's reads.
    init(largest: Int) {
        sizes = AdaptiveRecvByteBufferAllocator(minimum: 2_048, initial: 2_048, maximum: largest)
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { sizes.buffer(allocator: allocator) }

    mutating func record(actualReadBytes: Int) -> Bool {
        _ = sizes.record(actualReadBytes: actualReadBytes)
        return true
    }
}
