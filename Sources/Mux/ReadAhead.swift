import NIOCore

/// Whose socket may be read on, where sockets bring more than the carrier takes: in turn, and not before what was read
/// has mostly left.
///
/// Bytes that are read long before it is their turn are in the processor's caches no more when they are masked and sent,
/// and take memory meanwhile. Bytes that wait for the peer's credit hold nobody up: they do not count.
///
/// Every operation is O(1) in the number of streams.
struct ReadAhead {
    /// How much may wait, or be about to come, before a further socket is read, bytes. 2 MiB, eight large reads: 200 copies
    /// within one machine take nine tenths of the processor time and half the memory that they take without a bound. With
    /// half of it 16 copies are slower.
    static let most = 2_097_152

    /// One stream's part in it.
    struct Share {
        /// Stands in the line.
        fileprivate var waits = false
        /// Bytes that count as ready to leave.
        fileprivate var ready = 0
        /// What the socket brought last, bytes.
        fileprivate var brought = 0
        /// What it is expected to bring, bytes.
        fileprivate var expected = 0
    }

    private let most: Int
    /// The line. Who has left it is passed over when it is its turn.
    private var line = CircularBuffer<Stream>()
    /// Bytes of all streams that the scheduler may take.
    private(set) var ready = 0
    /// Bytes that sockets will bring which were told to go on and have not brought any yet.
    private var expected = 0

    /// - Parameter most: bytes; another number for tests alone.
    init(most: Int = Self.most) {
        self.most = most
    }

    /// What a stream has queued has changed, or whether the scheduler may take it.
    mutating func update(_ stream: Stream) {
        let now = stream.isScheduled ? stream.queued : 0
        ready += now - stream.readAhead.ready
        stream.readAhead.ready = now
    }

    /// A stream's socket has brought so many bytes.
    mutating func brought(_ count: Int, by stream: Stream) {
        stopExpecting(stream)
        stream.readAhead.brought = count
        update(stream)
    }

    /// A stream's socket was told to stop, and the stream has room again.
    mutating func enqueue(_ stream: Stream) {
        guard !stream.readAhead.waits else { return }
        stream.readAhead.waits = true
        line.append(stream)
    }

    /// A stream's socket brings nothing more.
    ///
    /// - Returns: whether it stood in the line.
    @discardableResult
    mutating func remove(_ stream: Stream) -> Bool {
        stopExpecting(stream)
        update(stream)
        defer { stream.readAhead.waits = false }
        return stream.readAhead.waits
    }

    /// Nothing is left to send: who was told to go on has nothing at hand, and whoever has something may bring it.
    ///
    /// - Returns: those who waited.
    mutating func releaseAll() -> CircularBuffer<Stream> {
        expected = 0
        let released = line.filter(\.readAhead.waits)
        line.removeAll()
        for stream in released { release(stream) }
        return released
    }

    /// The next stream whose socket may be read on; nil where enough waits, or nobody does.
    mutating func next() -> Stream? {
        while ready + expected < most, let stream = line.popFirst() {
            guard stream.readAhead.waits else { continue }
            release(stream)
            return stream
        }
        return nil
    }

    private mutating func release(_ stream: Stream) {
        stream.readAhead.waits = false
        stream.readAhead.expected = stream.readAhead.brought
        expected += stream.readAhead.expected
    }

    private mutating func stopExpecting(_ stream: Stream) {
        // Less is expected of all than of each where all were given up in the meantime.
        expected = max(0, expected - stream.readAhead.expected)
        stream.readAhead.expected = 0
    }
}
