/// `quoted-string` (RFC 9110 section 5.6.4).
enum QuotedString {
    /// False for control characters other than tab, which no escape makes fit for a field.
    static func canHold(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
    }

    /// The text between quotes, with a backslash before each quote and backslash in it.
    static func encoded(_ text: String) -> String {
        var bytes = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// `ext-value` (RFC 8187 section 3.2), which carries any text in ASCII.
enum ExtendedValue {
    /// The text as `UTF-8''` and percent-encoded bytes.
    static func encoded(_ text: String) -> String {
        "UTF-8''" + text.utf8.map { isPlain($0) ? String(Unicode.Scalar($0)) : percentEncoded($0) }.joined()
    }

    private static func percentEncoded(_ byte: UInt8) -> String {
        (byte < 0x10 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
    }

    /// `attr-char`.
    private static func isPlain(_ byte: UInt8) -> Bool {
        let lowered = byte | 0x20
        return (lowered >= UInt8(ascii: "a") && lowered <= UInt8(ascii: "z"))
            || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
            || "!#$&+-.^_`|~".utf8.contains(byte)
    }
}
