import NIOCore

/// Whose socket may be read on, where sockets that were told to stop bring more than the carrier takes: in turn, and not
/// before what was read has mostly left.
///
/// Bytes that are read long before it is their turn take memory meanwhile, and more time when they are masked and sent.
/// Bytes that wait for the peer's credit hold nobody up: they do not count.
///
/// Every operation is O(1) in the number of streams, averaged over many.
struct ReadAhead {
    /// How much may wait, or be about to come, before a further socket is read, bytes. 2 MiB, eight large reads: 200 copies
    /// within one machine take nine tenths of the processor time and half the memory that they take without a bound. With
    /// half of it 16 copies are slower.
    static let most = 2_097_152
    /// Streams that have left the line while they stood in it, before it is gone through for them.
    private static let mostGone = 32

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

        /// Whether it brought so much last that it has to stand in the line for more: whoever types does not.
        var bringsMuch: Bool { brought > SendScheduler.little }
    }

    private let most: Int
    /// The line. Who has left it is passed over when it is its turn.
    private var line = CircularBuffer<Stream>()
    /// How many in it have left it.
    private var gone = 0
    /// Bytes of all streams that the scheduler may take.
    private(set) var ready = 0
    /// Bytes that sockets will bring which were told to go on and have not brought any yet.
    private var expected = 0
    /// Bytes that have left since a socket was told to go on, or the line has begun.
    private var left = 0

    /// - Parameter most: bytes; another number for tests alone.
    init(most: Int = Self.most) {
        self.most = most
    }

    /// Who stands in the line, or has left it and not been passed over yet; for tests.
    var lineLength: Int { line.count }

    /// What a stream has queued has changed, or whether the scheduler may take it.
    mutating func update(_ stream: Stream) {
        let now = stream.isScheduled ? min(stream.queued, stream.credit.available) : 0
        ready += now - stream.readAhead.ready
        stream.readAhead.ready = now
    }

    /// So many bytes of a stream leave.
    mutating func leaves(_ count: Int, of stream: Stream) {
        left += count
        update(stream)
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
        if line.isEmpty { left = 0 }
        line.append(stream)
    }

    /// A stream's socket brings nothing more.
    ///
    /// - Returns: whether it stood in the line.
    @discardableResult
    mutating func remove(_ stream: Stream) -> Bool {
        stopExpecting(stream)
        update(stream)
        guard stream.readAhead.waits else { return false }
        stream.readAhead.waits = false
        gone += 1
        // Their objects live as long as they stand there.
        if gone > Self.mostGone, gone > line.count / 2 {
            line = line.filter(\.readAhead.waits)
            gone = 0
        }
        return true
    }

    /// Nothing is left to send: who was told to go on has nothing at hand.
    mutating func runsDry() {
        expected = 0
    }

    /// The next stream whose socket may be read on; nil where enough waits, or nobody does.
    ///
    /// - Parameter isUnbounded: whether everybody in the line may go on, since nothing is left to send, or nothing is
    ///   gained by waiting.
    mutating func next(isUnbounded: Bool) -> Stream? {
        // Once that much has left somebody's turn has come, whatever else waits: there may always be streams with a
        // little at hand, and sockets that were told to go on and have nothing.
        while isUnbounded || left >= most || ready + expected < most, let stream = line.popFirst() {
            guard stream.readAhead.waits else {
                gone -= 1
                continue
            }
            stream.readAhead.waits = false
            stream.readAhead.expected = stream.readAhead.brought
            expected += stream.readAhead.expected
            left = 0
            return stream
        }
        return nil
    }

    private mutating func stopExpecting(_ stream: Stream) {
        // Less is expected of all than of each where all were given up in the meantime.
        expected = max(0, expected - stream.readAhead.expected)
        stream.readAhead.expected = 0
    }
}
