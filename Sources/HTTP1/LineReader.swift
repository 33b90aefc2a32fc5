import NIOCore

/// Reads lines from a connection. Each byte is examined once and moved out of the caller's buffer. So the work is
/// linear however the network splits the bytes (H20), and no search position can become stale.
struct LineReader: Sendable {
    private let limits: HeadLimits
    /// Whether LF alone ends a line, which RFC 9112, section 2.2, permits. Enabled for answers only.
    private let allowsBareLineFeed: Bool
    private var line: [UInt8] = []
    private var sawCarriageReturn = false
    /// Bytes of the current head so far.
    private(set) var headBytes = 0
    /// Bytes examined in total, for the test of linear work.
    private(set) var bytesExamined = 0

    init(limits: HeadLimits, allowsBareLineFeed: Bool) {
        self.limits = limits
        self.allowsBareLineFeed = allowsBareLineFeed
    }

    /// Resets the count of bytes for the next head.
    mutating func startHead() {
        headBytes = 0
    }

    /// Returns the next line without its end; nil if the buffer is consumed first.
    ///
    /// - Throws: ``HTTP1Error`` at the first illegal byte or at a limit.
    mutating func next<Grammar: LineGrammar>(
        from buffer: inout ByteBuffer,
        _ grammar: inout Grammar
    ) throws(HTTP1Error) -> [UInt8]? {
        var taken = 0
        // The line's bytes among those that were taken, which are copied at once.
        var run = 0
        let bytes = buffer.readableBytesView
        defer { buffer.moveReaderIndex(forwardBy: taken) }
        for byte in bytes {
            guard headBytes < limits.maximumBytes else { throw HTTP1Error(.headTooLarge) }
            taken += 1
            headBytes += 1
            bytesExamined += 1
            switch byte {
            case .lineFeed:
                if !sawCarriageReturn {
                    guard allowsBareLineFeed else { throw HTTP1Error(.bareLineFeed) }
                    try grammar.end()
                }
                let start = bytes.startIndex + taken - 1 - (sawCarriageReturn && run > 0 ? 1 : 0) - run
                line.append(contentsOf: bytes[start..<start + run])
                sawCarriageReturn = false
                defer { line.removeAll(keepingCapacity: true) }
                return line
            case _ where sawCarriageReturn:
                throw HTTP1Error(.bareCarriageReturn)
            case .carriageReturn:
                try grammar.end()
                sawCarriageReturn = true
            default:
                try grammar.accept(byte)
                guard line.count + run < limits.maximumLineBytes else { throw HTTP1Error(Grammar.tooLong) }
                run += 1
            }
        }
        let start = bytes.startIndex + taken - (sawCarriageReturn && run > 0 ? 1 : 0) - run
        line.append(contentsOf: bytes[start..<start + run])
        // No line end can follow within the limit, so the head is refused at the limit, not one byte later (H18).
        guard headBytes < limits.maximumBytes else { throw HTTP1Error(.headTooLarge) }
        return nil
    }
}
