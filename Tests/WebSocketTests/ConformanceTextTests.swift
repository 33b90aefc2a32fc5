import Testing

@testable import WebSocket

private typealias Frame = ConformanceCase.Frame

/// Section 6 of the Autobahn|Testsuite: UTF-8, most of it Markus Kuhn's decoder test.
@Suite struct ConformanceTextTests {
    @Test("Autobahn 6.1 and 6.2: valid text in fragments, also empty ones, split anywhere", arguments: valid)
    func validCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 6.3 and 6.4: invalid text in fragments", arguments: invalid)
    func invalidCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 6.5 to 6.23: valid and invalid sequences", arguments: sequences)
    func sequence(test: ConformanceCase) { test.check() }

    private static func fragments(_ parts: [[UInt8]]) -> [Frame] {
        parts.enumerated().map { index, payload in
            Frame(first: (index == 0 ? 0x01 : 0x00) | (index == parts.count - 1 ? 0x80 : 0x00), payload: payload)
        }
    }

    private static func whole(_ payload: [UInt8]) -> Frame { Frame(first: 0x81, payload: payload) }

    private static let kosme = hex("cebae1bdb9cf83cebcceb5")
    private static let helloText = Array("Hello-µ@ßöäüàá-UTF-8!!".utf8)
    private static let broken = kosme + hex("eda080") + Array("edited".utf8)
    private static let tooHigh = kosme + hex("f4908080") + Array("edited".utf8)

    static let valid: [ConformanceCase] = [
        .echoed("6.1.1 no bytes", 0x81, []),
        ConformanceCase("6.1.2 three empty fragments", fragments([[], [], []]), answers: [whole([])]),
        ConformanceCase(
            "6.1.3 a fragment between empty ones",
            fragments([[], Array("middle frame payload".utf8), []]),
            answers: [whole(Array("middle frame payload".utf8))]
        ),
        .echoed("6.2.1 one fragment", 0x81, helloText),
        ConformanceCase(
            "6.2.2 split between scalars",
            fragments([Array("Hello-µ@ßöä".utf8), Array("üàá-UTF-8!!".utf8)]),
            answers: [whole(helloText)]
        ),
        ConformanceCase("6.2.3 one byte each", fragments(helloText.map { [$0] }), answers: [whole(helloText)]),
        ConformanceCase("6.2.4 one byte each", fragments(kosme.map { [$0] }), answers: [whole(kosme)]),
    ]

    static let invalid: [ConformanceCase] = [
        ConformanceCase("6.3.1 unfragmented", [whole(broken)], .failed(1007)),
        ConformanceCase("6.3.2 one byte each", fragments(broken.map { [$0] }), .failed(1007)),
        // 6.4.3 and 6.4.4 are the same bytes in one frame, split: every split of 6.3.1 and of the row below.
        ConformanceCase(
            "6.4.1, 6.4.2 fails before the last fragment arrives",
            Array(fragments([kosme, Array(tooHigh[11...12]), []]).prefix(2)),
            .failed(1007)
        ),
        ConformanceCase("6.4.3, 6.4.4 in one frame", [whole(tooHigh)], .failed(1007)),
    ]

    @Test("Autobahn 6.4.3, 6.4.4: text fails at its first invalid byte, within a frame")
    func failsFast() {
        for role in [WebSocketRole.client, .server] {
            let bytes = ConformanceCase.encode(Self.whole(Self.tooHigh), masked: role == .server)
            let header = bytes.count - Self.tooHigh.count
            #expect(feed([Array(bytes.prefix(header + 12))], role).error == nil)
            #expect(feed([Array(bytes.prefix(header + 13))], role).error == .invalidText)
        }
    }

    /// The tables of 6.5 on, by subsection; a row is valid unless its hexadecimal digits begin with `!`.
    private static let groups: [(section: Int, rows: [String])] = [
        (
            5,
            ["hello$world", "hello¢world", "hello€world", "hello𤭢world"].map { digits($0) } + ["cebae1bdb9cf83cebcceb5"]
        ),
        (
            6,
            [
                "!ce", "ceba", "!cebae1", "!cebae1bd", "cebae1bdb9", "!cebae1bdb9cf", "cebae1bdb9cf83",
                "!cebae1bdb9cf83ce", "cebae1bdb9cf83cebc", "!cebae1bdb9cf83cebcce", "cebae1bdb9cf83cebcceb5",
            ]
        ),
        (7, ["00", "c280", "e0a080", "f0908080"]),
        (8, ["!f888808080", "!fc8480808080"]),
        (9, ["7f", "dfbf", "efbfbf", "f48fbfbf"]),
        (10, ["!f7bfbfbf", "!fbbfbfbfbf", "!fdbfbfbfbfbf"]),
        (11, ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "!f4908080"]),
        (
            12,
            ["!80", "!bf", "!80bf", "!80bf80", "!80bf80bf", "!80bf80bf80", "!80bf80bf80bf"]
                + ["!" + (0x80..<0xBF).map { String($0, radix: 16) }.joined()]
        ),
        (
            13,
            [0xC0..<0xDF, 0xE0..<0xEF, 0xF0..<0xF7, 0xF8..<0xFB, 0xFC..<0xFD].map { range in
                "!" + range.map { String($0, radix: 16) + "20" }.joined()
            }
        ),
        (14, cut.map { "!" + $0 }),
        (15, ["!" + cut.joined()]),
        (16, ["!fe", "!ff", "!fefeffff"]),
        (17, ["!c0af", "!e080af", "!f08080af", "!f8808080af", "!fc80808080af"]),
        (18, ["!c1bf", "!e09fbf", "!f08fbfbf", "!f887bfbfbf", "!fc83bfbfbfbf"]),
        (19, ["!c080", "!e08080", "!f0808080", "!f880808080", "!fc8080808080"]),
        (20, ["!eda080", "!edadbf", "!edae80", "!edafbf", "!edb080", "!edbe80", "!edbfbf"]),
        (
            21,
            ["eda080", "edadbf", "edae80", "edafbf"].flatMap { high in
                ["edb080", "edbfbf"].map { "!" + high + $0 }
            }
        ),
        (
            22,
            ["efbfbe", "efbfbf"]
                + (0x1...0x10).flatMap { plane in
                    [0xFFFE, 0xFFFF].map { low in
                        digits(String(UnicodeScalar(UInt32(plane << 16 | low)).map(Character.init) ?? " "))
                    }
                }
        ),
        (23, ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"]),
    ]

    /// Scalars without their last byte.
    private static let cut = [
        "c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf",
    ]

    private static func digits(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static let sequences: [ConformanceCase] = groups.flatMap { section, rows in
        rows.enumerated().map { index, row in
            let name = "6.\(section).\(index + 1) \(row)"
            guard row.hasPrefix("!") else { return .echoed(name, 0x81, hex(row)) }
            return ConformanceCase(name, [whole(hex(String(row.dropFirst())))], .failed(1007))
        }
    }
}
