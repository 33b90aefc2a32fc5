import Testing

@testable import WebSocket

/// Fragments, text and limits: W8, W9 and W12 to W18 (RFC 6455, sections 5.4, 5.6 and 8.1).
@Suite struct MessageTests {
    @Test("messages are delivered, or end the connection, at every split", arguments: rows)
    func message(row: Row) {
        row.check()
    }

    static let small = WebSocketLimits(
        maximumFrameBytes: 4,
        maximumMessageBytes: 6,
        maximumFragments: 3,
        maximumQueuedControlBytes: 64
    )

    static let rows: [Row] = [
        Row(
            name: "W12 a continuation without a start",
            role: .client,
            bytes: hex("8000"),
            error: .unexpectedContinuation
        ),
        Row(
            name: "W12 a continuation after a whole message",
            role: .client,
            bytes: hex("8200 80"),
            events: [binary([])],
            error: .unexpectedContinuation
        ),
        Row(
            name: "W13 a new message within a fragmented one",
            role: .server,
            bytes: masked(0x01, "a") + [0x82],
            events: [.message(.text, buffer("a"), isFirst: true, isLast: false)],
            error: .interleavedMessage
        ),
        Row(
            name: "W14 a ping between fragments is answered, and the message continues",
            role: .server,
            bytes: masked(0x01, "Hel") + masked(0x89, "?") + masked(0x00, "l") + masked(0x8A, "") + masked(0x80, "o"),
            events: [
                .message(.text, buffer("Hel"), isFirst: true, isLast: false), .ping(buffer("?")),
                .message(.text, buffer("l"), isFirst: false, isLast: false), .pong(buffer("")),
                .message(.text, buffer("o"), isFirst: false, isLast: true),
            ],
            output: hex("8a01 3f")
        ),
        Row(
            name: "W16 empty fragments add nothing to a message",
            role: .client,
            bytes: hex("0200 0000 0001 07 0000 8000"),
            events: [binary([7])]
        ),
        Row(
            name: "W16 fragments without any payload make an empty message",
            role: .client,
            bytes: hex("0100 0000 8000"),
            events: [text("")]
        ),
        Row(
            name: "W16 a fragment beyond the limit is refused at its first byte",
            role: .client,
            bytes: hex("0200 0000 0000 00"),
            error: .tooManyFragments,
            limits: small
        ),
        Row(
            name: "W16 as many fragments as the limit permits",
            role: .client,
            bytes: hex("0200 0000 8000"),
            events: [binary([])],
            limits: small
        ),
        Row(
            name: "W9 a frame at the limit",
            role: .client,
            bytes: hex("8204 01020304"),
            events: [binary([1, 2, 3, 4])],
            limits: small
        ),
        Row(
            name: "W9 a frame above the limit is refused at the header",
            role: .client,
            bytes: hex("8205"),
            error: .frameTooLarge,
            limits: small
        ),
        Row(
            name: "W33 a message at the limit",
            role: .client,
            bytes: hex("0203 010203 8003 040506"),
            events: [binary([1, 2, 3, 4, 5, 6])],
            limits: small
        ),
        Row(
            name: "W15 W33 a message one above the limit is refused at the header",
            role: .server,
            bytes: masked(0x02, [1, 2, 3]) + hex("8084"),
            events: [.message(.binary, buffer([1, 2, 3]), isFirst: true, isLast: false)],
            error: .messageTooLarge,
            limits: small
        ),
        Row(
            name: "W17 an empty binary message is a message",
            role: .server,
            bytes: masked(0x82, ""),
            events: [binary([])]
        ),
        Row(
            name: "W18 text on a binary-only connection",
            role: .server,
            bytes: hex("81"),
            error: .unexpectedText,
            acceptsText: false
        ),
        Row(
            name: "W18 binary on a binary-only connection",
            role: .server,
            bytes: masked(0x82, "x"),
            events: [binary([0x78])],
            acceptsText: false
        ),
        Row(
            name: "W31 many frames in one read",
            role: .server,
            bytes: masked(0x81, "one") + masked(0x89, "p") + masked(0x82, [2]) + masked(0x81, "") + masked(0x8A, "q"),
            events: [text("one"), .ping(buffer("p")), binary([2]), text(""), .pong(buffer("q"))],
            output: hex("8a01 70")
        ),
        Row(
            name: "text of several scripts",
            role: .server,
            bytes: masked(0x81, "κόσμε 🌍 ﷺ 中文"),
            events: [text("κόσμε 🌍 ﷺ 中文")]
        ),
        Row(
            name: "a scalar split over fragments",
            role: .client,
            bytes: hex("0102 f09f 0001 8c 8001 8d"),
            events: [text("🌍")]
        ),
        Row(
            name: "text is refused at its first invalid byte, not at its end",
            role: .client,
            bytes: hex("0104 48 49 c3 28 8000"),
            events: [.message(.text, buffer([0x48, 0x49, 0xC3]), isFirst: true, isLast: false)],
            error: .invalidText
        ),
        Row(name: "text whose first byte is invalid", role: .client, bytes: hex("8101 80"), error: .invalidText),
        Row(
            name: "text that ends within a scalar",
            role: .server,
            bytes: masked(0x81, [0x41, 0xE2, 0x82]),
            events: [.message(.text, buffer([0x41, 0xE2, 0x82]), isFirst: true, isLast: false)],
            error: .invalidText
        ),
        Row(
            name: "text that ends within a scalar, with an empty fragment",
            role: .client,
            bytes: hex("0101 c3 8000"),
            events: [.message(.text, buffer([0xC3]), isFirst: true, isLast: false)],
            error: .invalidText
        ),
        Row(name: "binary is not validated", role: .client, bytes: hex("8202 c328"), events: [binary([0xC3, 0x28])]),
    ]

    @Test(
        "UTF-8 is refused at the first invalid byte",
        arguments: [
            ("c080", 0), ("c1bf", 0), ("80", 0), ("ff", 0), ("f5808080", 0), ("e09f80", 1), ("eda080", 1),
            ("f08f8080", 1),
            ("f4908080", 1), ("e28228", 2), ("c3c3", 1), ("f09f8c41", 3),
            ("4142434445464748 4142434445464748 41ff", 17),
            ("41424344454647 c3", nil), ("edbfbf", 1), ("ed9fbf", nil), ("ee8080", nil), ("f48fbfbf", nil),
            ("efbfbf", nil),
        ]
    )
    func firstInvalidByte(row: (text: String, index: Int?)) {
        let bytes = hex(row.text)
        for cut in 0...bytes.count {
            var validator = UTF8Validator()
            let first = bytes[..<cut].withUnsafeBytes { validator.firstInvalidByte(in: $0) }
            let second = first == nil ? bytes[cut...].withUnsafeBytes { validator.firstInvalidByte(in: $0) } : nil
            #expect(first ?? second.map { $0 + cut } == row.index, "\(row.text) cut at \(cut)")
        }
    }

    @Test("UTF-8: the result for every pair of bytes agrees with the standard library")
    func pairs() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let tails: [[UInt8]] = [[], [0x80], [0x80, 0x80]]
                let bytes = [first, second]
                let isPossible = tails.contains { String(validating: bytes + $0, as: UTF8.self) != nil }
                var validator = UTF8Validator()
                let invalid = bytes.withUnsafeBytes { validator.firstInvalidByte(in: $0) }
                // The second byte may begin a sequence that none of the tails completes.
                let endsInLead = first < 0x80 && (0xC2...0xF4).contains(second)
                #expect((invalid == nil) == (isPossible || endsInLead), "\(first) \(second)")
            }
        }
    }
}
