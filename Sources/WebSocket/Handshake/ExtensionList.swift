/// One member of Sec-WebSocket-Extensions (RFC 6455 section 9.1): a name and its parameters, in order.
struct ExtensionElement: Sendable, Equatable {
    /// A parameter; the value is nil where there is none, and is without its quotes.
    struct Parameter: Sendable, Equatable {
        let name: String
        let value: String?
    }

    let name: String
    let parameters: [Parameter]

    /// Members that are read; who offers more is no client.
    static let maximumElements = 16
    /// Parameters of one member that are read.
    static let maximumParameters = 16

    /// Reads the values of all fields of the name. Nil for anything that the grammar does not allow, and for more
    /// members or parameters than are read. Linear in the length.
    static func parse(_ values: [String]) -> [ExtensionElement]? {
        var elements: [ExtensionElement] = []
        for value in values {
            var scanner = Scanner(value)
            repeat {
                scanner.skipBlanks()
                // Empty members of a list are allowed (RFC 9110 section 5.6.1).
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

/// Walks over a field value once, from left to right.
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

    /// A quoted string whose content, without its escapes, is a token: nothing else is a parameter's value.
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

    /// RFC 9110 section 5.6.2.
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
