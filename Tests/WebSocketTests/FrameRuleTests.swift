import Testing

@testable import WebSocket

/// The rules for a single frame, W1 to W11 (RFC 6455, sections 5.1, 5.2 and 5.5).
@Suite struct FrameRuleTests {
    @Test("a frame that breaks a rule is refused at the byte that breaks it, with its error", arguments: refused)
    func refusal(row: Row) {
        row.check()
        // Only the last byte of the row breaks the rule.
        let before = feed([Array(row.bytes.dropLast())], row.role, limits: row.limits, acceptsText: row.acceptsText)
        #expect(before.error == nil)
    }

    @Test("RFC 6455 section 5.7: the examples decode", arguments: examples)
    func example(row: Row) {
        row.check()
    }

    @Test("W7 the shortest form is written for every length", arguments: [0, 125, 126, 65535, 65536])
    func shortestLength(length: Int) throws {
        var out = buffer([])
        FrameHeader(opcode: .binary, payloadLength: length).encode(into: &out)
        let expected: [Int: String] = [
            0: "8200", 125: "827d", 126: "827e007e", 65535: "827effff", 65536: "827f0000000000010000",
        ]
        #expect(Array(out.readableBytesView) == hex(try #require(expected[length])))
    }

    static let refused: [Row] =
        [
            Row(
                name: "W1 an unmasked frame to a server is a protocol error",
                role: .server,
                bytes: hex("8105"),
                error: .unmaskedFrame(.text)
            ),
            Row(
                name: "W1 an unmasked ping to a server",
                role: .server,
                bytes: hex("8900"),
                error: .unmaskedFrame(.ping)
            ),
            Row(
                name: "W2 a masked frame to a client is a protocol error",
                role: .client,
                bytes: hex("8185"),
                error: .maskedFrame
            ),
            Row(name: "W4 RSV1 without agreement", role: .server, bytes: hex("c1"), error: .reservedBits),
            Row(name: "W4 RSV2", role: .server, bytes: hex("a1"), error: .reservedBits),
            Row(name: "W4 RSV3", role: .client, bytes: hex("91"), error: .reservedBits),
            Row(name: "W5 RSV1 on a continuation", role: .client, bytes: hex("0100 40"), error: .reservedBits),
            Row(name: "W5 RSV1 on a ping", role: .client, bytes: hex("c9"), error: .reservedBits),
            Row(
                name: "W8 a 64-bit length with its highest bit",
                role: .client,
                bytes: hex("827f80"),
                error: .lengthOverflow
            ),
            Row(
                name: "W8 2^63-1 is above the limit, at the header",
                role: .client,
                bytes: hex("827f7fffffffffffffff"),
                error: .frameTooLarge
            ),
            Row(
                name: "W8 2^63-1 to a server, before its mask",
                role: .server,
                bytes: hex("82ff7fffffffffffffff"),
                error: .frameTooLarge
            ),
            Row(
                name: "W8 lengths that overflow the sum over fragments",
                role: .client,
                bytes: hex("0201 00 807f7fffffffffffffff"),
                events: [.message(.binary, buffer([0]), isFirst: true, isLast: false)],
                error: .messageTooLarge,
                limits: .unlimited
            ),
            Row(name: "W7 16-bit length 125", role: .client, bytes: hex("827e007d"), error: .lengthNotMinimal),
            Row(name: "W7 16-bit length 0", role: .server, bytes: hex("82fe0000"), error: .lengthNotMinimal),
            Row(
                name: "W7 64-bit length 65535",
                role: .client,
                bytes: hex("827f000000000000ffff"),
                error: .lengthNotMinimal
            ),
            Row(
                name: "W7 64-bit length 5",
                role: .client,
                bytes: hex("817f0000000000000005"),
                error: .lengthNotMinimal
            ),
            Row(name: "W10 a ping in 16-bit form", role: .client, bytes: hex("897e"), error: .oversizedControlFrame),
            Row(name: "W10 a pong in 16-bit form", role: .client, bytes: hex("8a7e"), error: .oversizedControlFrame),
            Row(name: "W10 a close in 16-bit form", role: .server, bytes: hex("88fe"), error: .oversizedControlFrame),
            Row(name: "W10 a ping in 64-bit form", role: .server, bytes: hex("89ff"), error: .oversizedControlFrame),
            Row(name: "W10 a close in 64-bit form", role: .client, bytes: hex("887f"), error: .oversizedControlFrame),
            Row(name: "W11 a ping without FIN", role: .client, bytes: hex("09"), error: .fragmentedControlFrame),
            Row(name: "W11 a pong without FIN", role: .server, bytes: hex("0a"), error: .fragmentedControlFrame),
            Row(name: "W11 a close without FIN", role: .server, bytes: hex("08"), error: .fragmentedControlFrame),
        ]
        + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { number in
            Row(
                name: "W6 opcode \(number) is refused at the first byte",
                role: .server,
                bytes: [0x80 | number],
                error: .unknownOpcode(Opcode(firstByte: number))
            )
        }

    static let examples: [Row] = [
        Row(name: "unmasked Hello", role: .client, bytes: hex("8105 48656c6c6f"), events: [text("Hello")], output: []),
        Row(name: "masked Hello", role: .server, bytes: hex("8185 37fa213d 7f9f4d5158"), events: [text("Hello")]),
        Row(name: "fragmented Hello", role: .client, bytes: hex("0103 48656c 8002 6c6f"), events: [text("Hello")]),
        Row(
            name: "unmasked ping, answered with a masked pong",
            role: .client,
            bytes: hex("8905 48656c6c6f"),
            events: [.ping(buffer("Hello"))],
            output: hex("8a85 37fa213d 7f9f4d5158")
        ),
        Row(
            name: "masked ping, answered with an unmasked pong",
            role: .server,
            bytes: hex("8985 37fa213d 7f9f4d5158"),
            events: [.ping(buffer("Hello"))],
            output: hex("8a05 48656c6c6f")
        ),
        Row(
            name: "masked pong",
            role: .server,
            bytes: hex("8a85 37fa213d 7f9f4d5158"),
            events: [.pong(buffer("Hello"))],
            output: []
        ),
        Row(
            name: "256 bytes of binary",
            role: .client,
            bytes: hex("827e0100") + [UInt8](repeating: 7, count: 256),
            events: [binary([UInt8](repeating: 7, count: 256))]
        ),
    ]

    @Test("RFC 6455 section 5.7: 64 KiB of binary decode, masked and unmasked")
    func sixtyFourKibibytes() {
        let payload = (0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let plain = hex("827f0000000000010000") + payload
        let maskedFrame = masked(0x82, payload)
        for (bytes, role) in [(plain, WebSocketRole.client), (maskedFrame, .server)] {
            for cut in [1, 9, 13, 14, 15, 17, 4099, 65535] {
                let outcome = feed([Array(bytes[..<cut]), Array(bytes[cut...])], role)
                #expect(outcome.events == [binary(payload)])
            }
        }
    }
}
