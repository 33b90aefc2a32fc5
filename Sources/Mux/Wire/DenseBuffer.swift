import NIOCore

extension ByteBuffer {
    /// Buffers of less than this are not worth a copy, bytes: they keep less alive than a copy of their own may take.
    private static let smallest = 1_024

    /// The same bytes in a buffer of their own size if they keep `factor` times as much alive: a slice of a large read, or
    /// a read that brought little. What waits is counted by its bytes, so its storage must not be much more.
    package func dense(from factor: Int) -> ByteBuffer {
        guard storageCapacity > Self.smallest, readableBytes * factor < storageCapacity else { return self }
        var copy = ByteBufferAllocator().buffer(capacity: readableBytes)
        copy.writeImmutableBuffer(self)
        return copy
    }
}
