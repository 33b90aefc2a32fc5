/// An error in an HTTP/1.1 message, received or to be sent.
///
/// Contains no byte of the peer's input, so it may be logged and sent without escaping.
public struct HTTP1Error: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kind of error.
    public enum Kind: Equatable, Sendable {
        /// The first bytes cannot begin an HTTP message: TLS, SSH, random bytes. A server closes without an answer.
        case notHTTP
        /// More than one empty line before the request line (RFC 9112, section 2.2, lets a server ignore one).
        case leadingEmptyLines
        /// A start line with a missing part: HTTP/0.9, or text that is not HTTP.
        case malformedStartLine
        /// A request target with a control character, a space, `#` or a byte outside ASCII, or of an unsupported form.
        case malformedTarget
        /// A version that is not `HTTP/` DIGIT `.` DIGIT.
        case malformedVersion
        /// A well-formed version other than HTTP/1.x.
        case unsupportedVersion
        /// A status code that is not three digits from 100 to 999.
        case malformedStatus
        /// A reason phrase to send that contains a control character.
        case malformedReason
        /// A method to send that is not a token.
        case malformedMethod
        /// A line that ends with LF alone where CRLF is required.
        case bareLineFeed
        /// A CR without a following LF.
        case bareCarriageReturn
        /// NUL, DEL or another control character in a field value.
        case controlCharacter
        /// A line that begins with a space or tab (obs-fold, RFC 9112, section 5.2), in a request or before the first
        /// field of an answer.
        case foldedLine
        /// A space or tab between a field's name and its colon in a request (RFC 9112, section 5.1).
        case whitespaceBeforeColon
        /// A field name that is empty or not a token.
        case malformedFieldName
        /// A field line without a colon.
        case missingColon
        /// A request line longer than the limit.
        case startLineTooLong
        /// A field line, or an answer's status line, longer than the limit.
        case lineTooLong
        /// A head larger than the limit.
        case headTooLarge
        /// More fields than the limit.
        case tooManyFields
        /// Several fields of a name that may occur once. Contains the name that the caller asked for.
        case duplicateField(String)
        /// A request without Host.
        case missingHost
        /// A Host that is not `host` or `host:port`.
        case malformedHost
        /// An absolute-form target whose authority differs from Host.
        case hostMismatch
        /// A Content-Length that is not a decimal number, or several that differ.
        case malformedLength
        /// A chunk size, chunk end or trailer that violates RFC 9112, section 7.1.
        case malformedChunk
        /// A body larger than the limit.
        case bodyTooLarge
        /// An end of the connection inside a message.
        case unexpectedEnd
        /// For callers: a well-formed method that is not supported.
        case methodNotAllowed
        /// For callers: a head that did not arrive in time.
        case timeout
        /// For callers: an expectation that is not supported.
        case expectationFailed
    }

    /// The kind of error.
    public let kind: Kind

    /// Creates an error.
    public init(_ kind: Kind) {
        self.kind = kind
    }

    /// The status code of a server's answer: 400, 405, 408, 414, 417, 431 or 505. Meaningless for an error in an
    /// answer.
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

    /// A description without any of the peer's bytes.
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
