import Testing

@testable import TunnelClient

@Suite("The number of carriers")
struct CarrierCountTests {
    @Test(
        "is auto, a number or a range from 1 to 16",
        arguments: [
            ("auto", 1, 5), ("1", 1, 1), ("3", 3, 3), ("16", 16, 16), ("2-4", 2, 4), ("1-16", 1, 16), ("3-3", 3, 3),
        ]
    )
    func forms(text: String, minimum: Int, maximum: Int) throws {
        let count = try CarrierCount(text)
        #expect(count.minimum == minimum && count.maximum == maximum)
        #expect(count.isAutomatic == (text == "auto"))
        #expect(count.description == (text == "3-3" ? "3" : text))
    }

    @Test(
        "no other text is a number of carriers, and the error has the right forms",
        arguments: [
            "", "0", "17", "-1", "+3", "1-", "-", "4-2", "1-17", "0-3", "1-2-3", "AUTO", " 3", "3 ", "1..5", "three",
            "99999999999999999999", "\u{0663}",
        ]
    )
    func malformed(text: String) {
        #expect { try CarrierCount(text) } throws: {
            ($0 as? CarrierCount.Malformed)?.description
                == "expected auto, a number from 1 to 16, or a range such as 2-4"
        }
    }

    @Test("auto starts with one, and leaves one of five to interactive traffic")
    func automatic() {
        let count = CarrierCount.automatic
        #expect(count.minimum == 1 && count.maximum == CarrierCount.automaticBulk + 1)
    }
}
