/// `ext-value` (RFC 8187, section 3.2), which carries any text in ASCII.
enum ExtendedValue {
    /// Returns the text as `UTF-8''` and percent-encoded bytes.
    static func encoded(_ text: String) -> String {
        "UTF-8''" + text.utf8.map { isPlain($0) ? String(Unicode.Scalar($0)) : percentEncoded($0) }.joined()
    }

    private static func percentEncoded(_ byte: UInt8) -> String {
        (byte < 0x10 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
    }

    /// Returns whether the byte is an `attr-char`.
    private static func isPlain(_ byte: UInt8) -> Bool {
        let lowered = byte | 0x20
        return (lowered >= UInt8(ascii: "a") && lowered <= UInt8(ascii: "z"))
            || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
            || "!#$&+-.^_`|~".utf8.contains(byte)
    }
}
