import NIOCore

/// Decides which paused socket to resume once much could leave in all: round robin, as it leaves.
///
/// A stream pauses its socket while its own queue is full. The queues of many streams together could reach the session's
/// bound for waiting bytes, beyond which streams are reset. So from half of that bound on, sockets that bring bulk data
/// are resumed one for each frame that leaves. Interactive streams do not wait, and bytes without credit do not count.
///
/// Every operation is O(1) in the number of streams, averaged over many.
struct ReadGate {
    /// Streams that have left the line while they stood in it, before the line is cleaned of them.
    private static let maximumGone = 32

    /// One stream's part in it.
    struct Share {
        /// Stands in the line.
        fileprivate var waits = false
        /// Bytes that count as ready to leave.
        fileprivate var ready = 0
        /// The socket's last bytes were more than an interactive stream sends.
        fileprivate var bringsBulk = false
    }

    /// Bytes that may be ready before sockets are resumed one by one.
    private let limit: Int
    private var line = CircularBuffer<Stream>()
    private var gone = 0
    /// Bytes of all streams that the scheduler may take.
    private(set) var ready = 0

    init(limit: Int) {
        self.limit = limit
    }

    /// Streams in the line, those among them that have left it; for tests.
    var lineLength: Int { line.count }

    /// What a stream has queued has changed, or whether the scheduler may take it.
    mutating func update(_ stream: Stream) {
        let now = stream.isScheduled ? min(stream.queued, stream.credit.available) : 0
        ready += now - stream.readShare.ready
        stream.readShare.ready = now
    }

    /// A stream's socket has brought bytes.
    mutating func brought(_ count: Int, by stream: Stream) {
        stream.readShare.bringsBulk = count > SendScheduler.interactiveBytes
        update(stream)
    }

    /// A stream whose socket is paused has room again.
    ///
    /// - Returns: whether the socket resumes at once; otherwise ``next(isIdle:)`` returns the stream later.
    mutating func resumes(_ stream: Stream) -> Bool {
        guard !stream.readShare.waits else { return false }
        guard ready >= limit, stream.readShare.bringsBulk else { return true }
        stream.readShare.waits = true
        line.append(stream)
        return false
    }

    /// The next stream to resume; nil if enough is ready, or none waits.
    ///
    /// - Parameter isIdle: nothing is left to send, so that all may resume.
    mutating func next(isIdle: Bool) -> Stream? {
        guard isIdle || ready < limit else { return nil }
        while let stream = line.popFirst() {
            guard stream.readShare.waits else {
                gone -= 1
                continue
            }
            stream.readShare.waits = false
            return stream
        }
        return nil
    }

    /// The stream's socket brings nothing more.
    ///
    /// - Returns: whether it stood in the line.
    @discardableResult
    mutating func remove(_ stream: Stream) -> Bool {
        update(stream)
        guard stream.readShare.waits else { return false }
        stream.readShare.waits = false
        gone += 1
        // Streams live as long as they stand there.
        if gone > Self.maximumGone, gone > line.count / 2 {
            line = line.filter(\.readShare.waits)
            gone = 0
        }
        return true
    }
}
