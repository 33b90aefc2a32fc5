/// Reads a `.netrc` text token by token.
struct NetrcReader {
    struct Token: Equatable {
        let text: String
        /// The line, counted from 1.
        let line: Int
    }

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    /// Whether the next token is the first of its line.
    private var isAtLineStart = true

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// Returns the next token; nil at the end.
    ///
    /// - Parameter isValue: whether a value is expected, which may begin with `#`.
    mutating func next(isValue: Bool = false) throws(NetrcError) -> Token? {
        while let byte = peek {
            if byte == UInt8(ascii: "\n") {
                advance()
            } else if Self.isBlank(byte) {
                position += 1
            } else if byte == UInt8(ascii: "#"), isAtLineStart || !isValue {
                skipLine()
            } else {
                isAtLineStart = false
                return Token(text: byte == UInt8(ascii: "\"") ? try quoted() : plain(), line: line)
            }
        }
        return nil
    }

    /// Returns the value behind a keyword.
    ///
    /// - Throws: `missingValue` at the end of the text.
    mutating func value(of keyword: Token) throws(NetrcError) -> String {
        guard let token = try next(isValue: true) else { throw .missingValue(line: keyword.line) }
        return token.text
    }

    /// Skips a macro: the rest of this line, and all lines up to an empty one or the end.
    mutating func skipMacro() {
        repeat {
            skipLine()
            if peek == UInt8(ascii: "\r") { position += 1 }
        } while peek != nil && peek != UInt8(ascii: "\n")
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Skips the current byte.
    private mutating func advance() {
        if peek == UInt8(ascii: "\n") {
            line += 1
            isAtLineStart = true
        }
        position += 1
    }

    private mutating func skipLine() {
        while let byte = peek {
            advance()
            if byte == UInt8(ascii: "\n") { return }
        }
    }

    private mutating func plain() -> String {
        let start = position
        while let byte = peek, byte != UInt8(ascii: "\n"), !Self.isBlank(byte) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func quoted() throws(NetrcError) -> String {
        var text: [UInt8] = []
        position += 1
        while let byte = peek, byte != UInt8(ascii: "\n") {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard peek.map({ $0 == UInt8(ascii: "\n") || Self.isBlank($0) }) ?? true else {
                    throw .malformedQuote(line: line)
                }
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = peek, escaped != UInt8(ascii: "\n") else { throw .malformedQuote(line: line) }
                position += 1
                text.append(Self.unescaped(escaped))
            default:
                text.append(byte)
            }
        }
        throw .malformedQuote(line: line)
    }

    private static func unescaped(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "n"): UInt8(ascii: "\n")
        case UInt8(ascii: "r"): UInt8(ascii: "\r")
        case UInt8(ascii: "t"): UInt8(ascii: "\t")
        default: byte
        }
    }

    /// Returns whether the byte is white space other than a line feed. It includes carriage return, for files with
    /// Windows line ends.
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
