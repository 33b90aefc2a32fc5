import NIOCore

extension ByteBuffer {
    /// Capacity below which a buffer is not copied, bytes: a copy would save little.
    private static let smallest = 1_024

    /// Returns the same bytes in a buffer of their own size if the storage is over `factor` times as large. A slice of
    /// a large read is an example. Limits count waiting bytes, so their storage must not be much larger.
    package func dense(from factor: Int) -> ByteBuffer {
        guard storageCapacity > Self.smallest, readableBytes * factor < storageCapacity else { return self }
        var copy = ByteBufferAllocator().buffer(capacity: readableBytes)
        copy.writeImmutableBuffer(self)
        return copy
    }
}
