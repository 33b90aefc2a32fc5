import Testing

@testable import WebSocket

private typealias Frame = ConformanceCase.Frame

private func frame(_ first: UInt8, _ payload: String = "") -> Frame {
    Frame(first: first, payload: Array(payload.utf8))
}

private func frame(_ first: UInt8, _ payload: [UInt8]) -> Frame { Frame(first: first, payload: payload) }

private func fill(_ byte: Character, _ count: Int) -> [UInt8] {
    [UInt8](repeating: byte.asciiValue ?? 0, count: count)
}

/// Sections 1 to 5 and 7 of the Autobahn|Testsuite as tables; section 6 is in `ConformanceTextTests`, 9 and 10 in
/// `ConformanceSizeTests`, 12 and 13 in `ConformanceDeflateTests`.
@Suite struct ConformanceTests {
    @Test("Autobahn 1: framing", arguments: framing) func framingCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 1: framing of long messages", arguments: longFraming)
    func longFramingCase(test: ConformanceCase) { test.check(chops: [13, 997, 65_535]) }

    @Test("Autobahn 2: pings and pongs", arguments: pings) func pingsCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 3: reserved bits", arguments: reserved) func reservedCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 4: opcodes", arguments: opcodes) func opcodesCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 5: fragmentation", arguments: fragments) func fragmentsCase(test: ConformanceCase) { test.check() }

    @Test("Autobahn 7: closing", arguments: closing) func closingCase(test: ConformanceCase) { test.check() }

    static let framing: [ConformanceCase] = [0, 125, 126, 127, 128].enumerated().flatMap { index, length in
        [
            .echoed("1.1.\(index + 1) text of \(length)", 0x81, fill("*", length)),
            .echoed("1.2.\(index + 1) binary of \(length)", 0x82, [UInt8](repeating: 0xFE, count: length)),
        ]
    }

    static let longFraming: [ConformanceCase] = [65_535, 65_536].enumerated().flatMap { index, length in
        [
            .echoed("1.1.\(index + 6) text of \(length)", 0x81, fill("*", length)),
            .echoed("1.2.\(index + 6) binary of \(length)", 0x82, [UInt8](repeating: 0xFE, count: length)),
        ]
    }

    static let notUTF8: [UInt8] = [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF]

    static let pings: [ConformanceCase] = [
        ConformanceCase("2.1 empty", [frame(0x89)], answers: [frame(0x8A)]),
        ConformanceCase("2.2 text", [frame(0x89, "Hello, world!")], answers: [frame(0x8A, "Hello, world!")]),
        ConformanceCase("2.3 not UTF-8", [frame(0x89, notUTF8)], answers: [frame(0x8A, notUTF8)]),
        ConformanceCase(
            "2.4, 2.6 a ping of 125 bytes",
            [frame(0x89, [UInt8](repeating: 0xFE, count: 125))],
            answers: [frame(0x8A, [UInt8](repeating: 0xFE, count: 125))]
        ),
        ConformanceCase("2.5 a ping of 126", [frame(0x89, [UInt8](repeating: 0xFE, count: 126))], .failed(1002)),
        ConformanceCase("2.7 an unasked pong", [frame(0x8A)]),
        ConformanceCase("2.8 an unasked pong with a payload", [frame(0x8A, "unsolicited pong payload")]),
        ConformanceCase(
            "2.9 a ping after an unasked pong",
            [frame(0x8A, "unsolicited pong payload"), frame(0x89, "ping payload")],
            answers: [frame(0x8A, "ping payload")]
        ),
        ConformanceCase(
            "2.10, 2.11 ten pings",
            (0..<10).map { frame(0x89, "payload-\($0)") },
            answers: (0..<10).map { frame(0x8A, "payload-\($0)") }
        ),
    ]

    private static let hello = frame(0x81, "Hello, world!")

    static let reserved: [ConformanceCase] = [
        ConformanceCase("3.1 RSV3 on text", [frame(0x91, "Hello, world!")], .failed(1002)),
        ConformanceCase(
            "3.2 RSV2 after a message",
            [hello, frame(0xA1, "Hello, world!"), frame(0x89)],
            answers: [hello],
            .failed(1002)
        ),
        ConformanceCase(
            "3.3 RSV2 and RSV3",
            [hello, frame(0xB1, "Hello, world!"), frame(0x89)],
            answers: [hello],
            .failed(1002)
        ),
        ConformanceCase(
            "3.4 RSV1 without an agreement",
            [hello, frame(0xC1, "Hello, world!"), frame(0x89)],
            answers: [hello],
            .failed(1002)
        ),
        ConformanceCase("3.5 RSV1 and RSV3 on binary", [frame(0xD2, notUTF8)], .failed(1002)),
        ConformanceCase("3.6 RSV1 and RSV2 on a ping", [frame(0xE9, "Hello, world!")], .failed(1002)),
        ConformanceCase("3.7 all three reserved bits on a close", [frame(0xF8)], .failed(1002)),
    ]

    static let opcodes: [ConformanceCase] = [(1, 3 as UInt8), (2, 11)].flatMap { section, first in
        (0..<5).map { index in
            let opcode = 0x80 | (first + UInt8(index))
            let bad = frame(opcode, index % 2 == 1 || index == 4 ? "reserved opcode payload" : "")
            let name = "4.\(section).\(index + 1) opcode \(opcode & 15)"
            guard index >= 2 else { return ConformanceCase(name, [bad], .failed(1002)) }
            return ConformanceCase(name, [hello, bad, frame(0x89)], answers: [hello], .failed(1002))
        }
    }

    private static let halves = [frame(0x01, "fragment1"), frame(0x80, "fragment2")]
    private static let joined = frame(0x81, "fragment1fragment2")
    private static let five = (1...5).map { "fragment\($0)" }

    static let fragments: [ConformanceCase] = [
        ConformanceCase("5.1 a ping in fragments", [frame(0x09, "fragment1"), halves[1]], .failed(1002)),
        ConformanceCase("5.2 a pong in fragments", [frame(0x0A, "fragment1"), halves[1]], .failed(1002)),
        ConformanceCase("5.3, 5.4, 5.5 two fragments", halves, answers: [joined]),
        ConformanceCase(
            "5.6, 5.7, 5.8 a ping between two fragments",
            [halves[0], frame(0x89, "ping payload"), halves[1]],
            answers: [frame(0x8A, "ping payload"), joined]
        ),
        ConformanceCase(
            "5.9, 5.10, 5.11 a final continuation outside a message",
            [frame(0x80, "non-continuation payload"), hello],
            .failed(1002)
        ),
        ConformanceCase(
            "5.12, 5.13, 5.14 a continuation outside a message",
            [frame(0x00, "non-continuation payload"), hello],
            .failed(1002)
        ),
        ConformanceCase(
            "5.15 a continuation after the message's end",
            halves + [frame(0x00, "fragment3"), frame(0x81, "fragment4")],
            answers: [joined],
            .failed(1002)
        ),
        ConformanceCase(
            "5.16 a continuation before a fragmented message",
            [frame(0x00, "fragment1"), frame(0x01, "fragment2"), frame(0x80, "fragment3")],
            .failed(1002)
        ),
        ConformanceCase(
            "5.17 a final continuation before a fragmented message",
            [frame(0x80, "fragment1"), frame(0x01, "fragment2"), frame(0x80, "fragment3")],
            .failed(1002)
        ),
        ConformanceCase(
            "5.18 a second text frame instead of a continuation",
            [frame(0x01, "fragment1"), frame(0x81, "fragment2")],
            .failed(1002)
        ),
        ConformanceCase(
            "5.19, 5.20 five fragments and two pings",
            [
                frame(0x01, five[0]), frame(0x00, five[1]), frame(0x89, "pongme 1!"), frame(0x00, five[2]),
                frame(0x00, five[3]), frame(0x89, "pongme 2!"), frame(0x80, five[4]),
            ],
            answers: [frame(0x8A, "pongme 1!"), frame(0x8A, "pongme 2!"), frame(0x81, five.joined())]
        ),
    ]

    private static let normal = frame(0x88, [0x03, 0xE8])

    private static func close(_ code: UInt16, _ reason: [UInt8] = []) -> Frame {
        frame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    private static let invalid = hex("cebae1bdb9cf83cebcceb5 eda080 656469746564")

    static let closing: [ConformanceCase] =
        [
            ConformanceCase("7.1.1 a message and a close", [hello, normal], answers: [hello]),
            ConformanceCase("7.1.2 two closes", [normal, frame(0x88)]),
            ConformanceCase("7.1.3 a ping after the close", [normal, frame(0x89)]),
            ConformanceCase("7.1.4 text after the close", [normal, hello]),
            ConformanceCase("7.1.5 a close between fragments", [halves[0], normal, halves[1]]),
            ConformanceCase("7.3.1 a close without a code", [frame(0x88)], .clean(nil)),
            ConformanceCase("7.3.2 a close with a truncated code", [frame(0x88, "a")], .failed(1002)),
            ConformanceCase("7.3.3 a close with a code", [normal]),
            ConformanceCase("7.3.4 a close with a code and a reason", [close(1000, Array("Hello World!".utf8))]),
            ConformanceCase("7.3.5 a reason of 123 bytes", [close(1000, fill("*", 123))]),
            ConformanceCase("7.3.6 a reason of 124 bytes", [close(1000, fill("*", 124))], .failed(1002)),
            ConformanceCase("7.5.1 a reason that is not UTF-8", [close(1000, invalid)], .failed(1007)),
        ]
        + [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].enumerated().map {
            ConformanceCase("7.7.\($0 + 1) code \($1)", [close($1)], .clean($1))
        }
        + [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].enumerated().map {
            ConformanceCase("7.9.\($0 + 1) code \($1)", [close($1)], .failed(1002))
        }
        // The suite treats these as informational: codes outside the registry are refused.
        + [5000, 65_535].enumerated().map {
            ConformanceCase("7.13.\($0 + 1) code \($1)", [close($1)], .failed(1002))
        }

    @Test("Autobahn 7.1.6: two messages before a close, one of 256 KiB, are echoed first")
    func longMessageBeforeClose() {
        let payload = [UInt8]((0..<26_215).flatMap { _ in Array("BAsd7&jh23".utf8) }.prefix(256 << 10))
        ConformanceCase(
            "7.1.6",
            [frame(0x81, payload), Self.hello, Self.normal, frame(0x89)],
            answers: [frame(0x81, payload), Self.hello]
        ).check(chops: [997, 65_536])
    }
}
