import NIOCore

/// Parses the heads of answers from proxies and servers that this process dialled.
///
/// It is more lenient than for requests because real proxies require it. LF alone ends a line, and the reason phrase
/// and the space before it may be missing. A field may continue in lines that begin with a blank (obs-fold), and blanks
/// may precede a colon. Minor versions of HTTP/1 are ignored, and the limits are wide.
///
/// The first illegal byte is still refused: a start other than `HTTP/1.`, control characters including NUL, a folded
/// line before any field, a CR without LF, and a head beyond the limits.
///
/// Not enforced: the meaning of status and fields. ``BodyDrain`` handles framing.
public struct ResponseHeadParser: Sendable {
    private enum State: Sendable {
        case statusLine(StatusLine)
        case fields(ResponseHead, FieldLine)
        case failed(HTTP1Error)
        /// Held while a payload is modified, so that its arrays have one owner and are not copied.
        case modifying
    }

    private let limits: HeadLimits
    private var reader: LineReader
    private var state: State

    /// Creates a parser for a connection's first answer.
    public init(limits: HeadLimits = .response) {
        self.limits = limits
        reader = LineReader(limits: limits, allowsBareLineFeed: true)
        state = .statusLine(StatusLine())
    }

    /// Consumes the head's bytes from `buffer` and leaves what follows.
    ///
    /// Without a complete head the buffer is consumed and kept here. The caller may pass new bytes only, or append to
    /// the same buffer. After a head the parser is ready for the next one; after an error it throws that error for
    /// ever.
    ///
    /// - Returns: the head; nil if more bytes are needed.
    /// - Throws: ``HTTP1Error`` for the first error in the bytes.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Bytes examined in total, for the test of linear work.
    var bytesExamined: Int { reader.bytesExamined }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        while true {
            switch state {
            case .failed(let error):
                throw error
            case .modifying:
                preconditionFailure("left in the middle of a change")
            case .statusLine(var grammar):
                guard let line = try reader.next(from: &buffer, &grammar) else {
                    state = .statusLine(grammar)
                    return nil
                }
                guard let head = grammar.head(line) else { throw HTTP1Error(.notHTTP) }
                state = .fields(head, FieldLine(limits: limits, isAnswer: true))
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
                    state = .statusLine(StatusLine())
                    return head
                }
            }
        }
    }
}
