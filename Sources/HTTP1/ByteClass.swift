/// The character classes of RFC 9110, section 5.6, and RFC 9112 for single bytes.
extension UInt8 {
    static let tab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let colon = UInt8(ascii: ":")

    /// Whether the byte is a `tchar`, as in methods and field names.
    var isToken: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "^")...UInt8(ascii: "z"), UInt8(ascii: "#")...UInt8(ascii: "'"),
            UInt8(ascii: "!"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default:
            false
        }
    }

    var isDigit: Bool { UInt8(ascii: "0") <= self && self <= UInt8(ascii: "9") }

    var isLetter: Bool {
        let lowered = self | 0x20
        return UInt8(ascii: "a") <= lowered && lowered <= UInt8(ascii: "z")
    }

    /// The value of a hexadecimal digit; nil for any other byte.
    var hexValue: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self) - 0x61 + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self) - 0x41 + 10
        default: nil
        }
    }

    /// Whether a field value or reason phrase may contain the byte: tab, space, visible ASCII and obs-text.
    var isFieldContent: Bool { self == .tab || (self >= .space && self != 0x7F) }

    /// Whether a request target may contain the byte: visible ASCII except `#`, since fragments are never sent.
    var isTarget: Bool { self > .space && self < 0x7F && self != UInt8(ascii: "#") }

    var isBlank: Bool { self == .space || self == .tab }

    var lowercased: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }
}

extension String {
    /// Returns whether the strings are equal apart from the case of ASCII letters, as field names and tokens are
    /// compared.
    func equalsIgnoringCase(_ other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8) { $0.lowercased == $1.lowercased }
    }

    /// Decodes text from the wire as UTF-8, or as Latin-1 (the meaning of obs-text) if it is not UTF-8. Never fails.
    init(wire bytes: some Collection<UInt8>) {
        if let text = String(validating: bytes, as: UTF8.self) {
            self = text
        } else {
            var scalars = String.UnicodeScalarView()
            scalars.append(contentsOf: bytes.lazy.map { Unicode.Scalar($0) })
            self = String(scalars)
        }
    }
}

extension BidirectionalCollection<UInt8> {
    /// The elements without optional white space (OWS) at both ends.
    var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isBlank }), let last = lastIndex(where: { !$0.isBlank }) else {
            return self[endIndex..<endIndex]
        }
        return self[first...last]
    }
}
