/// Hexadecimal text, two digits for each byte (RFC 4648, section 8).
package enum Base16 {
    private static let digits = Array("0123456789abcdef".utf8)

    /// Encodes bytes in lower-case digits.
    package static func encoded(_ bytes: some Sequence<UInt8>) -> String {
        // Four bits are below 16, the number of digits.
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Decodes digits of either case; nil for any other character and for an odd number of digits.
    package static func decoded(_ text: some StringProtocol) -> [UInt8]? {
        let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}

extension UInt8 {
    /// Whether the character is a hexadecimal digit of either case.
    package var isHexDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default:
            false
        }
    }
}
