/// What was wrong with an HTTP/1.1 message, on its way in or out.
///
/// Carries no byte of the peer's input, so it may be logged and answered without escaping.
public struct HTTP1Error: Error, Equatable, Sendable, CustomStringConvertible {
    /// One case for each way to be wrong.
    public enum Kind: Equatable, Sendable {
        /// The first bytes cannot begin an HTTP message: TLS, SSH, random bytes. A server closes without an answer.
        case notHTTP
        /// More than one empty line before the request line (RFC 9112 section 2.2 lets a server ignore one).
        case leadingEmptyLines
        /// A start line with a part missing: HTTP/0.9, or text that is no HTTP.
        case malformedStartLine
        /// A request target with a control character, a space, `#` or a byte outside ASCII, or of a form not served.
        case malformedTarget
        /// No `HTTP/` DIGIT `.` DIGIT where the version belongs.
        case malformedVersion
        /// A well-formed version other than HTTP/1.x.
        case unsupportedVersion
        /// A status code that is not three digits from 100 to 999.
        case malformedStatus
        /// A reason phrase, of our own, that cannot be sent.
        case malformedReason
        /// A method, of our own, that is no token.
        case malformedMethod
        /// A line that ends with LF alone where CRLF is asked for.
        case bareLineFeed
        /// A CR that no LF follows.
        case bareCarriageReturn
        /// NUL, DEL or another control character in a field value.
        case controlCharacter
        /// A line that begins with a space or tab (obs-fold, RFC 9112 section 5.2) in a request, where it is never
        /// joined, or before any field of an answer.
        case foldedLine
        /// A space or tab between a field's name and its colon (RFC 9112 section 5.1) in a request.
        case whitespaceBeforeColon
        /// A field name that is empty or no token.
        case malformedFieldName
        /// A field line without a colon.
        case missingColon
        /// The request line is longer than the limit.
        case startLineTooLong
        /// A field line, or the status line of an answer, is longer than the limit.
        case lineTooLong
        /// The whole head is longer than the limit.
        case headTooLarge
        /// More fields than the limit.
        case tooManyFields
        /// A field that may occur once occurs more often. Holds the name that was asked for.
        case duplicateField(String)
        /// A request without Host.
        case missingHost
        /// A Host that is no `host` or `host:port`.
        case malformedHost
        /// An absolute-form target that names another authority than Host.
        case hostMismatch
        /// A Content-Length that is no decimal number, or several that differ.
        case malformedLength
        /// A chunk size, chunk end or trailer that breaks RFC 9112 section 7.1.
        case malformedChunk
        /// A body that is longer than the cap.
        case bodyTooLarge
        /// The connection ended within a message.
        case unexpectedEnd
        /// For callers: a method that is well-formed but not served.
        case methodNotAllowed
        /// For callers: the head did not arrive in time.
        case timeout
        /// For callers: an Expect that is not met.
        case expectationFailed
    }

    /// What was wrong.
    public let kind: Kind

    /// An error of the given kind.
    public init(_ kind: Kind) {
        self.kind = kind
    }

    /// What a server should answer: 400, 405, 408, 414, 417, 431 or 505. Means nothing for an error in an answer.
    public var status: Int {
        switch kind {
        case .methodNotAllowed: 405
        case .timeout: 408
        case .startLineTooLong: 414
        case .expectationFailed: 417
        case .lineTooLong, .headTooLarge, .tooManyFields: 431
        case .unsupportedVersion: 505
        case .notHTTP, .leadingEmptyLines, .malformedStartLine, .malformedTarget, .malformedVersion, .malformedStatus,
            .malformedReason, .malformedMethod, .bareLineFeed, .bareCarriageReturn, .controlCharacter, .foldedLine,
            .whitespaceBeforeColon, .malformedFieldName, .missingColon, .duplicateField, .missingHost, .malformedHost,
            .hostMismatch, .malformedLength, .malformedChunk, .bodyTooLarge, .unexpectedEnd:
            400
        }
    }

    /// The error in words, without any of the peer's bytes.
    public var description: String {
        switch kind {
        case .notHTTP: "not HTTP"
        case .leadingEmptyLines: "empty lines before the request line"
        case .malformedStartLine: "incomplete start line"
        case .malformedTarget: "malformed request target"
        case .malformedVersion: "malformed HTTP version"
        case .unsupportedVersion: "HTTP version other than 1.x"
        case .malformedStatus: "malformed status code"
        case .malformedReason: "control character in the reason phrase"
        case .malformedMethod: "malformed method"
        case .bareLineFeed: "line feed without carriage return"
        case .bareCarriageReturn: "carriage return without line feed"
        case .controlCharacter: "control character in a field value"
        case .foldedLine: "folded field line"
        case .whitespaceBeforeColon: "whitespace before the colon of a field"
        case .malformedFieldName: "malformed field name"
        case .missingColon: "field line without a colon"
        case .startLineTooLong: "request line too long"
        case .lineTooLong: "line too long"
        case .headTooLarge: "head too large"
        case .tooManyFields: "too many fields"
        case .duplicateField(let name): "more than one \(name) field"
        case .missingHost: "no Host field"
        case .malformedHost: "malformed Host field"
        case .hostMismatch: "request target and Host field differ"
        case .malformedLength: "malformed or contradictory Content-Length"
        case .malformedChunk: "malformed chunked body"
        case .bodyTooLarge: "body too large"
        case .unexpectedEnd: "connection ended within a message"
        case .methodNotAllowed: "method not allowed"
        case .timeout: "request head not complete in time"
        case .expectationFailed: "expectation not met"
        }
    }
}
