/// Decimal numbers without a sign, blanks or leading zeros.
package enum DecimalText {
    /// Returns the number with these digits; nil for any other text, for more than nine digits, and above `maximum`.
    package static func value(_ digits: some Collection<UInt8>, through maximum: Int) -> Int? {
        guard !digits.isEmpty, digits.count <= 9, digits.count == 1 || digits.first != UInt8(ascii: "0") else {
            return nil
        }
        var value = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= maximum ? value : nil
    }
}
