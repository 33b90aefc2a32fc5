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

/// The grammar of a version in upper case: `HTTP/` DIGIT `.` DIGIT (RFC 9112, section 2.3).
struct VersionText: Sendable {
    private static let prefix = Array("HTTP/".utf8)

    private var count = 0
    private var major = 0
    private var minor = 0

    /// Processes a byte; false if it is illegal here.
    mutating func accept(_ byte: UInt8) -> Bool {
        defer { count += 1 }
        switch count {
        case 0..<5:
            return byte == Self.prefix[count]
        case 5:
            major = Int(byte) - 0x30
            return byte.isDigit
        case 6:
            return byte == UInt8(ascii: ".")
        case 7:
            minor = Int(byte) - 0x30
            return byte.isDigit
        default:
            return false
        }
    }

    /// The version after all eight bytes; nil before.
    var version: HTTPVersion? {
        count == 8 ? HTTPVersion(major: major, minor: minor) : nil
    }

    /// Whether the five fixed bytes are incomplete.
    var isInPrefix: Bool { count < Self.prefix.count }
}
