import NIOCore

/// Reads the heads of answers, from proxies and servers that we dialled.
///
/// More lenient than for requests where real proxies need it: LF alone ends a line, the reason phrase and the space
/// before it may be missing, a field may go on in further lines that begin with a blank (obs-fold), blanks may stand
/// before a colon, minor versions of HTTP/1 do not matter, and the limits are wide. Still refused at the first illegal
/// byte: what does not begin with `HTTP/1.`, control characters (NUL among them), a folded line before any field, a CR
/// without LF, heads beyond the limits.
///
/// Not enforced: what status and fields mean together. Framing is `BodyDrain`'s business.
public struct ResponseHeadParser: Sendable {
    private enum State: Sendable {
        case statusLine(StatusLine)
        case fields(ResponseHead, FieldLine)
        case failed(HTTP1Error)
        /// While a case's payload is being changed, so that its arrays have one owner and are not copied.
        case modifying
    }

    private let limits: HeadLimits
    private var reader: LineReader
    private var state: State

    /// A parser that waits for the first answer.
    public init(limits: HeadLimits = .response) {
        self.limits = limits
        reader = LineReader(limits: limits, allowsBareLineFeed: true)
        state = .statusLine(StatusLine())
    }

    /// Takes what belongs to the head off `buffer`; what follows the head stays in it.
    ///
    /// Without a whole head the buffer is used up and kept here, so it does not matter whether the caller hands over
    /// only new bytes or appends to the same buffer. After a head the parser is ready for the next one; after an error
    /// it throws that error for ever.
    ///
    /// - Returns: the head, or nil when more bytes are needed.
    /// - Throws: the first error in the bytes.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Bytes ever looked at, for the test of linear work.
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
