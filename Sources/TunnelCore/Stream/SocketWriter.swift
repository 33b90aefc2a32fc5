import Mux
import NIOCore

/// The bytes on their way from a stream to its socket: kept until the socket takes them, and counted once it has.
struct SocketWriter {
    private enum Phase {
        case flowing
        /// The kernel takes nothing for now: bytes are kept until it has taken what the channel buffers.
        case draining
    }

    private var phase = Phase.flowing
    private var kept = ChunkQueue()
    /// Bytes given to the channel.
    private var written = 0
    /// Bytes that the kernel has taken.
    private(set) var taken = 0

    /// Whether bytes wait for the socket.
    var isKeeping: Bool { !kept.isEmpty }

    /// Whether the kernel has been given more than it is known to have taken.
    var isUncertain: Bool { written > taken }

    /// Whether bytes may go to the channel.
    var isFlowing: Bool {
        if case .flowing = phase { true } else { false }
    }

    /// Keeps bytes for later.
    mutating func keep(_ bytes: ByteBuffer) {
        kept.append(bytes, isPacked: true)
    }

    /// Drops what is kept.
    mutating func drop() {
        kept.removeAll()
    }

    /// Counts bytes that go to the channel.
    mutating func writes(_ bytes: ByteBuffer) {
        written += bytes.readableBytes
    }

    /// The next kept bytes, which go to the channel now; nil if there are none or the kernel takes nothing.
    mutating func nextKept() -> ByteBuffer? {
        guard isFlowing, let bytes = kept.popFirst() else { return nil }
        written += bytes.readableBytes
        return bytes
    }

    /// Counts what the kernel has taken.
    ///
    /// - Parameter buffered: bytes that the channel still holds.
    /// - Returns: bytes taken since the last time.
    mutating func count(buffered: Int) -> Int {
        let news = max(0, written - buffered - taken)
        taken += news
        return news
    }

    /// Waits until the kernel has taken what the channel holds.
    ///
    /// - Returns: whether the wait begins now.
    mutating func drain() -> Bool {
        guard isFlowing else { return false }
        phase = .draining
        return true
    }

    /// The kernel has taken what the channel held.
    mutating func drained() {
        phase = .flowing
    }
}
