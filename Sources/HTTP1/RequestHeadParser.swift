import NIOCore

/// Parses request heads strictly. What a conforming client never sends is refused and never repaired, since a front may
/// have parsed it differently (request smuggling).
///
/// The first illegal byte is refused: a line end other than CRLF, obs-fold, white space before a colon, or a control
/// character. So are a target with a space, `#` or a byte outside ASCII, a second empty line before the request line, a
/// version other than 1.x, and a head beyond the limits. Field values keep bytes above 0x7F (obs-text).
///
/// Not enforced: supported methods, minor versions, fields and targets, and the absence of a body.
public struct RequestHeadParser: Sendable {
    private enum State: Sendable {
        case requestLine(RequestLine, sawEmptyLine: Bool)
        case fields(RequestHead, FieldLine)
        case failed(HTTP1Error)
        /// Held while a payload is modified, so that its arrays have one owner and are not copied.
        case modifying
    }

    private let limits: HeadLimits
    private var reader: LineReader
    private var state: State

    /// Creates a parser for a connection's first request.
    public init(limits: HeadLimits = .request) {
        self.limits = limits
        reader = LineReader(limits: limits, allowsBareLineFeed: false)
        state = .requestLine(RequestLine(), sawEmptyLine: false)
    }

    /// Consumes the head's bytes from `buffer` and leaves what follows.
    ///
    /// Without a complete head the buffer is consumed and kept here. The caller may pass new bytes only, or append to
    /// the same buffer. After a head the parser is ready for the next one; after an error it throws that error for
    /// ever.
    ///
    /// - Returns: the head; nil if more bytes are needed.
    /// - Throws: ``HTTP1Error`` for the first error in the bytes; its `status` is the answer's status.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> RequestHead? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Whether no byte of the next head has come.
    var isIdle: Bool { reader.headBytes == 0 }

    /// Bytes examined in total, for the test of linear work.
    var bytesExamined: Int { reader.bytesExamined }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> RequestHead? {
        while true {
            switch state {
            case .failed(let error):
                throw error
            case .modifying:
                preconditionFailure("left in the middle of a change")
            case .requestLine(var grammar, let sawEmptyLine):
                guard let line = try reader.next(from: &buffer, &grammar) else {
                    state = .requestLine(grammar, sawEmptyLine: sawEmptyLine)
                    return nil
                }
                if let head = grammar.head(line) {
                    state = .fields(head, FieldLine(limits: limits, isAnswer: false))
                } else if sawEmptyLine {
                    throw HTTP1Error(.leadingEmptyLines)
                } else {
                    state = .requestLine(RequestLine(), sawEmptyLine: true)
                }
            case .fields(var head, var grammar):
                state = .modifying
                guard let line = try reader.next(from: &buffer, &grammar) else {
                    state = .fields(head, grammar)
                    return nil
                }
                if grammar.append(line, to: &head.fields) {
                    state = .fields(head, grammar)
                } else {
                    reader.startHead()
                    state = .requestLine(RequestLine(), sawEmptyLine: false)
                    return head
                }
            }
        }
    }
}
