import ByteText
import Testing

@Suite("Base16")
struct Base16Tests {
    @Test("every byte reads back, in either case")
    func roundTrip() {
        let bytes = Array(UInt8.min ... .max)
        let text = Base16.encoded(bytes)
        #expect(text.hasPrefix("000102") && text.hasSuffix("fdfeff"))
        #expect(Base16.decoded(text) == bytes)
        #expect(Base16.decoded(text.uppercased()) == bytes)
    }

    @Test("odd numbers of digits and other characters are refused", arguments: ["0", "0x", "000", "0g", " 0", "é0"])
    func malformed(_ text: String) {
        #expect(Base16.decoded(text) == nil)
    }
}

@Suite("Decimal numbers")
struct DecimalTextTests {
    @Test("the maximum is read and one more is refused")
    func maximum() {
        #expect(DecimalText.value("255".utf8, through: 255) == 255)
        #expect(DecimalText.value("256".utf8, through: 255) == nil)
        #expect(DecimalText.value("0".utf8, through: 255) == 0)
        #expect(DecimalText.value("999999999".utf8, through: .max) == 999_999_999)
        #expect(DecimalText.value("1000000000".utf8, through: .max) == nil)
    }

    @Test("signs, blanks and leading zeros are refused", arguments: ["", "+1", "-1", "01", "00", " 1", "1 ", "1a"])
    func malformed(_ text: String) {
        #expect(DecimalText.value(text.utf8, through: .max) == nil)
    }
}
