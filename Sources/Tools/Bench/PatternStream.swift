import Glibc

/// Sends a stream of the pattern on a blocking connection.
struct PatternSender {
    /// The interval of a sender with a rate limit, in seconds.
    private static let sendInterval = 0.002

    let connection: Connection
    let stream: Int

    /// Sends for a time, with or without a rate limit, and then the end of the stream.
    ///
    /// - Returns: the number of bytes sent; nil if the connection broke.
    func run(seconds: Double, bytesPerSecond: Int = 0) -> Int? {
        let (start, began) = (Pattern.start(of: stream), Clock.seconds)
        var position = start
        var due = began
        let chunk =
            bytesPerSecond > 0
            ? min(Pattern.maximumChunk, Int(Double(bytesPerSecond) * Self.sendInterval)) : Pattern.maximumChunk
        while Clock.seconds < began + seconds {
            guard send(chunk, at: &position) else { return nil }
            if bytesPerSecond > 0 {
                due += Double(chunk) / Double(bytesPerSecond)
                Clock.sleep(until: due)
            }
        }
        guard send(Pattern.restOfPeriod(at: position), at: &position), connection.sendAll([Pattern.end]) else {
            return nil
        }
        connection.finishSending()
        return position + 1 - start
    }

    private func send(_ count: Int, at position: inout Int) -> Bool {
        let end = position + count
        while position < end {
            guard let sent = Pattern.with(from: position, { connection.send($0, end - position) }), sent > 0 else {
                return false
            }
            position += sent
        }
        return true
    }
}

/// Receives a stream of the pattern on a blocking connection, and checks it.
struct PatternReceiver {
    /// The result of a stream.
    enum Verdict {
        /// Every byte was right, up to the end.
        case complete
        /// A byte was wrong.
        case wrong
        /// The stream broke, stalled, or had no end.
        case broken
    }

    let connection: Connection
    let stream: Int

    /// Receives to the end.
    ///
    /// - Parameters:
    ///   - deadline: the time at which the stream counts as complete without an end.
    ///   - arrived: called for each chunk.
    func run(until deadline: Double = .infinity, _ arrived: (Int) -> Void = { _ in }) -> (
        bytes: Int, verdict: Verdict
    ) {
        let start = Pattern.start(of: stream)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Pattern.maximumChunk, alignment: 64)
        defer { buffer.deallocate() }
        var position = start
        var hasEnd = false
        while true {
            if deadline < .infinity, !connection.waitForBytes(until: deadline) { return (position - start, .complete) }
            let count = connection.receive(buffer, Pattern.maximumChunk)
            guard count > 0 else { return (position - start, count == 0 && hasEnd ? .complete : .broken) }
            if hasEnd { return (position - start, .wrong) }
            if !Pattern.matches(buffer, count, at: position) {
                let isEnd =
                    buffer.load(fromByteOffset: count - 1, as: UInt8.self) == Pattern.end
                    && Pattern.restOfPeriod(at: position + count - 1) == 0
                    && Pattern.matches(buffer, count - 1, at: position)
                guard isEnd else { return (position - start, .wrong) }
                hasEnd = true
            }
            position += count
            arrived(count)
        }
    }
}
