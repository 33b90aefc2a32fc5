import ByteText
import Testing

@Suite("Base64")
struct Base64Tests {
    @Test("bytes of every length read back, and without padding only if lenient")
    func roundTrip() {
        for length in 0..<70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37) }
            let text = Base64.encoded(bytes)
            let unpadded = text.filter { $0 != "=" }
            #expect(Base64.decoded(text) == bytes)
            #expect(Base64.decoded(text, .canonical) == bytes)
            #expect(Base64.decoded(unpadded) == bytes)
            #expect(Base64.decoded(unpadded, .canonical) == (unpadded == text ? bytes : nil))
        }
    }

    @Test(
        "malformed text is refused in both forms",
        arguments: ["A", "AAAAA", "A=AA", "AA-_", "AAA A", "====", "é", "AAAA==="]
    )
    func malformed(_ text: String) {
        #expect(Base64.decoded(text) == nil)
        #expect(Base64.decoded(text, .canonical) == nil)
    }

    @Test("unused bits that are set are refused only in the canonical form")
    func unusedBits() {
        #expect(Base64.decoded("AB==") == [0])
        #expect(Base64.decoded("AB==", .canonical) == nil)
        #expect(Base64.decoded("AAB=") == [0, 0])
        #expect(Base64.decoded("AAB=", .canonical) == nil)
    }
}
