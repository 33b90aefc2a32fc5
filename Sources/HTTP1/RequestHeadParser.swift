import NIOCore

/// Reads request heads, strictly: what a conforming client never sends is refused, never repaired, since whatever
/// stands in front of us may have read it otherwise (request smuggling).
///
/// Refused at the first illegal byte: anything but CRLF as a line end, obs-fold, white space before a colon, control
/// characters, a target with a space, `#` or a byte outside ASCII, more than one empty line before the request line,
/// versions other than 1.x, heads beyond the limits. Bytes above 0x7F in field values are kept (obs-text).
///
/// Not enforced: which methods, minor versions, fields or targets are served, and that there is no body.
public struct RequestHeadParser: Sendable {
    private enum State: Sendable {
        case requestLine(RequestLine, sawEmptyLine: Bool)
        case fields(RequestHead, FieldLine)
        case failed(HTTP1Error)
        /// While a case's payload is being changed, so that its arrays have one owner and are not copied.
        case modifying
    }

    private let limits: HeadLimits
    private var reader: LineReader
    private var state: State

    /// A parser that waits for the first request.
    public init(limits: HeadLimits = .request) {
        self.limits = limits
        reader = LineReader(limits: limits, allowsBareLineFeed: false)
        state = .requestLine(RequestLine(), sawEmptyLine: false)
    }

    /// Takes what belongs to the head off `buffer`; what follows the head stays in it.
    ///
    /// Without a whole head the buffer is used up and kept here, so it does not matter whether the caller hands over
    /// only new bytes or appends to the same buffer. After a head the parser is ready for the next one; after an error
    /// it throws that error for ever.
    ///
    /// - Returns: the head, or nil when more bytes are needed.
    /// - Throws: the first error in the bytes; its `status` is what to answer.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> RequestHead? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Bytes ever looked at, for the test of linear work.
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
