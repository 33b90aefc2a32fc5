import NIOCore

/// What one kind of line may hold, asked byte by byte, so that the first illegal byte is refused when it comes and not
/// once a line end has come.
protocol LineGrammar: Sendable {
    /// What a line of this kind that exceeds the limit is reported as.
    static var tooLong: HTTP1Error.Kind { get }
    /// Takes the next byte of the line; never CR or LF.
    mutating func accept(_ byte: UInt8) throws(HTTP1Error)
    /// Throws when the line may not end here. An empty line is the parser's business and passes.
    func end() throws(HTTP1Error)
}

/// Takes lines off a connection. Each byte is looked at once, moved out of the caller's buffer and kept, so that the
/// work is linear however the network cut the bytes (H20), and no search position can go stale.
struct LineReader: Sendable {
    private let limits: HeadLimits
    /// RFC 9112 section 2.2 allows a recipient to take LF alone for a line end. Only answers are read so.
    private let allowsBareLineFeed: Bool
    private var line: [UInt8] = []
    private var sawCarriageReturn = false
    /// Bytes of the present head so far.
    private(set) var headBytes = 0
    /// Bytes ever looked at, for the test of linear work.
    private(set) var bytesExamined = 0

    init(limits: HeadLimits, allowsBareLineFeed: Bool) {
        self.limits = limits
        self.allowsBareLineFeed = allowsBareLineFeed
    }

    /// Starts counting the next head.
    mutating func startHead() {
        headBytes = 0
    }

    /// The next line without its end, or nil when the buffer is used up before one.
    mutating func next<Grammar: LineGrammar>(
        from buffer: inout ByteBuffer,
        _ grammar: inout Grammar
    ) throws(HTTP1Error) -> [UInt8]? {
        var taken = 0
        defer { buffer.moveReaderIndex(forwardBy: taken) }
        for byte in buffer.readableBytesView {
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
                guard line.count < limits.maximumLineBytes else { throw HTTP1Error(Grammar.tooLong) }
                line.append(byte)
            }
        }
        // No end can follow within the limit any more: refused at the limit, not one byte later (H18).
        guard headBytes < limits.maximumBytes else { throw HTTP1Error(.headTooLarge) }
        return nil
    }
}
