/// The grammar of a request line with single spaces: `method SP request-target SP HTTP-version` (RFC 9112, section 3).
struct RequestLine: LineGrammar {
    private enum Part {
        case method(count: Int)
        case target(methodCount: Int, count: Int)
        case version(methodCount: Int, targetCount: Int, VersionText)
    }

    static var tooLong: HTTP1Error.Kind { .startLineTooLong }

    private var part = Part.method(count: 0)

    mutating func accept(_ byte: UInt8) throws(HTTP1Error) {
        switch part {
        case .method(let count):
            if byte == .space && count > 0 {
                part = .target(methodCount: count, count: 0)
            } else {
                guard byte.isToken else { throw HTTP1Error(.notHTTP) }
                part = .method(count: count + 1)
            }
        case .target(let methodCount, let count):
            if byte == .space && count > 0 {
                part = .version(methodCount: methodCount, targetCount: count, VersionText())
            } else {
                guard byte.isTarget else { throw HTTP1Error(.malformedTarget) }
                part = .target(methodCount: methodCount, count: count + 1)
            }
        case .version(let methodCount, let targetCount, var version):
            guard version.accept(byte) else { throw HTTP1Error(.malformedVersion) }
            part = .version(methodCount: methodCount, targetCount: targetCount, version)
        }
    }

    func end() throws(HTTP1Error) {
        switch part {
        case .method(count: 0):
            return
        case .method, .target:
            throw HTTP1Error(.malformedStartLine)
        case .version(_, _, let version):
            guard let version = version.version else { throw HTTP1Error(.malformedVersion) }
            guard version.major == 1 else { throw HTTP1Error(.unsupportedVersion) }
        }
    }

    /// Returns the head that the accepted line begins; nil for an empty line.
    func head(_ line: [UInt8]) -> RequestHead? {
        guard case .version(let methodCount, let targetCount, let text) = part, let version = text.version else {
            return nil
        }
        return RequestHead(
            method: String(decoding: line.prefix(methodCount), as: UTF8.self),
            target: String(decoding: line.dropFirst(methodCount + 1).prefix(targetCount), as: UTF8.self),
            version: version
        )
    }
}
