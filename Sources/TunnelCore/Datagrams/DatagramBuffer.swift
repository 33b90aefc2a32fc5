import NIOCore
import NIOPosix
import Platform
import Synchronization

/// Makes a buffer of the size of the next datagram for each read of a flow's socket.
///
/// NIO keeps the first buffers of each socket. With room for the largest datagram that is over 64 KiB for each flow.
final class DatagramBuffer: RecvByteBufferAllocator {
    /// What usual datagrams fit into, and what the largest one needs.
    private static let (usual, largest) = (2_048, 65_536)

    /// The socket; -1 before it is known.
    private let handle = Atomic<Int32>(-1)
    /// Whether there was no datagram when the last buffer was made.
    private let wasEmpty = Atomic(false)
    private let cut = Atomic(false)

    /// Whether the last datagram may lack its end: it came after its buffer was made, and has filled it.
    var mayBeCut: Bool { cut.load(ordering: .relaxed) }

    /// Takes the socket of a channel.
    ///
    /// - Throws: if the channel does not say whether it has one.
    func read(from channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let found = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
        handle.store(found ?? -1, ordering: .relaxed)
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        #if os(Linux)
        // With MSG_TRUNC the size is the datagram's own (recv(2)).
        let flags = Int32(MSG_PEEK) | Int32(MSG_TRUNC) | Int32(MSG_DONTWAIT)
        let size = recv(handle.load(ordering: .relaxed), nil, 0, flags)
        wasEmpty.store(size < 0, ordering: .relaxed)
        return allocator.buffer(capacity: max(size, Self.usual))
        #else
        return allocator.buffer(capacity: Self.largest)
        #endif
    }

    /// The next datagram may be larger than this one, so NIO is not to use its buffer again.
    func record(actualReadBytes: Int) -> Bool {
        cut.store(wasEmpty.load(ordering: .relaxed) && actualReadBytes >= Self.usual, ordering: .relaxed)
        return true
    }
}
