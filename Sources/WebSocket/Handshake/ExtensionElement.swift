/// One element of Sec-WebSocket-Extensions (RFC 6455, section 9.1): a name and its parameters in order.
struct ExtensionElement: Sendable, Equatable {
    /// A parameter with its unquoted value; nil if it has none.
    struct Parameter: Sendable, Equatable {
        let name: String
        let value: String?
    }

    let name: String
    let parameters: [Parameter]

    /// Most elements of a list. A list with more is refused, since no known client sends so many.
    static let maximumElements = 16
    /// Most parameters of one element.
    static let maximumParameters = 16

    /// Parses the values of all fields of the name, in linear time.
    ///
    /// - Returns: nil if a value violates the grammar or has too many elements or parameters.
    static func parse(_ values: [String]) -> [ExtensionElement]? {
        var elements: [ExtensionElement] = []
        for value in values {
            var scanner = Scanner(value)
            repeat {
                scanner.skipBlanks()
                // Empty list elements are legal (RFC 9110, section 5.6.1).
                if scanner.isAtEnd || scanner.peek == UInt8(ascii: ",") { continue }
                guard let element = element(&scanner), elements.count < maximumElements else { return nil }
                elements.append(element)
            } while scanner.take(UInt8(ascii: ","))
            guard scanner.isAtEnd else { return nil }
        }
        return elements
    }

    private static func element(_ scanner: inout Scanner) -> ExtensionElement? {
        guard let name = scanner.token() else { return nil }
        var parameters: [Parameter] = []
        scanner.skipBlanks()
        while scanner.take(UInt8(ascii: ";")) {
            scanner.skipBlanks()
            guard parameters.count < maximumParameters, let name = scanner.token() else { return nil }
            scanner.skipBlanks()
            var value: String?
            if scanner.take(UInt8(ascii: "=")) {
                scanner.skipBlanks()
                guard let text = scanner.peek == UInt8(ascii: "\"") ? scanner.quoted() : scanner.token() else {
                    return nil
                }
                value = text
                scanner.skipBlanks()
            }
            parameters.append(Parameter(name: name, value: value))
        }
        return ExtensionElement(name: name, parameters: parameters)
    }
}

/// Scans a field value once, from left to right.
private struct Scanner {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = text[...].utf8
    }

    var isAtEnd: Bool { rest.isEmpty }
    var peek: UInt8? { rest.first }

    mutating func take(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest.removeFirst()
        return true
    }

    mutating func skipBlanks() {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    mutating func token() -> String? {
        let token = rest.prefix(while: Self.isTokenByte)
        rest = rest[token.endIndex...]
        return token.isEmpty ? nil : String(Substring(token))
    }

    /// Reads a quoted string. Its unescaped content must be a token, as for every parameter value.
    mutating func quoted() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""):
                return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst(), Self.isTokenByte(escaped) else { return nil }
                bytes.append(escaped)
            default:
                guard Self.isTokenByte(byte) else { return nil }
                bytes.append(byte)
            }
        }
        return nil
    }

    /// Returns whether the byte may be part of a token (RFC 9110, section 5.6.2).
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x30...0x39: true
        case UInt8(ascii: "!"), 0x23...0x27, UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
