/// The grammar of a status line: `HTTP-version SP status-code [SP [reason-phrase]]` (RFC 9112, section 4). Real proxies
/// omit the reason phrase and the space before it.
struct StatusLine: LineGrammar {
    private enum Part {
        case version(VersionText)
        case status(HTTPVersion, digits: Int, value: Int)
        case reason(HTTPVersion, status: Int)
    }

    static var tooLong: HTTP1Error.Kind { .lineTooLong }

    private var part = Part.version(VersionText())

    mutating func accept(_ byte: UInt8) throws(HTTP1Error) {
        switch part {
        case .version(var text):
            if let version = text.version {
                guard byte == .space else { throw HTTP1Error(.malformedVersion) }
                guard version.major == 1 else { throw HTTP1Error(.unsupportedVersion) }
                part = .status(version, digits: 0, value: 0)
            } else {
                let kind: HTTP1Error.Kind = text.isInPrefix ? .notHTTP : .malformedVersion
                guard text.accept(byte) else { throw HTTP1Error(kind) }
                part = .version(text)
            }
        case .status(let version, digits: 3, let value):
            guard byte == .space else { throw HTTP1Error(.malformedStatus) }
            part = .reason(version, status: value)
        case .status(let version, let digits, let value):
            guard byte.isDigit, digits > 0 || byte != UInt8(ascii: "0") else { throw HTTP1Error(.malformedStatus) }
            part = .status(version, digits: digits + 1, value: value * 10 + Int(byte) - 0x30)
        case .reason:
            guard byte.isFieldContent else { throw HTTP1Error(.controlCharacter) }
        }
    }

    func end() throws(HTTP1Error) {
        switch part {
        case .version(let text): throw HTTP1Error(text.isInPrefix ? .notHTTP : .malformedStartLine)
        case .status(_, digits: 3, _), .reason: return
        case .status: throw HTTP1Error(.malformedStatus)
        }
    }

    /// Returns the head that the accepted line begins; nil for an empty line.
    func head(_ line: [UInt8]) -> ResponseHead? {
        switch part {
        case .version: nil
        case .status(let version, _, let value): ResponseHead(version: version, status: value)
        case .reason(let version, let status):
            // "HTTP/1.1 200 " has 13 bytes with any digits.
            ResponseHead(version: version, status: status, reason: String(wire: line.dropFirst(13).trimmed))
        }
    }
}
