import Testing

@testable import WebSocket

private typealias Frame = ConformanceCase.Frame

/// Sections 9 and 10 of the Autobahn|Testsuite: long messages, many fragments, small chunks, many messages. The suite's
/// messages have up to 16 MiB; these have up to 256 KiB, so that a debug build takes seconds.
@Suite struct ConformanceSizeTests {
    @Test(
        "Autobahn 9.1 and 9.2: long messages in one frame",
        arguments: [0x81 as UInt8, 0x82],
        [4_096, 16_384, 262_144]
    )
    func longMessage(first: UInt8, length: Int) {
        ConformanceCase.echoed("9.\(first & 3)", first, Self.payload(length)).check(chops: [8_191])
    }

    @Test(
        "Autobahn 9.3 and 9.4: 64 KiB in fragments",
        arguments: [0x01 as UInt8, 0x02],
        [64, 256, 1_024, 4_096, 16_384, 65_536]
    )
    func fragments(first: UInt8, size: Int) {
        Self.fragmented("9.\(first + 2)", first, length: 65_536, size: size).check(chops: [8_191])
    }

    @Test(
        "Autobahn 9.5 and 9.6: 64 KiB that arrive in small chunks",
        arguments: [0x81 as UInt8, 0x82],
        [64, 128, 256, 512, 1_024, 2_048]
    )
    func smallChunks(first: UInt8, size: Int) {
        ConformanceCase.echoed("9.\((first & 3) + 4)", first, Self.payload(65_536)).check(chops: [size])
    }

    @Test("Autobahn 9.7 and 9.8: many messages", arguments: [0x81 as UInt8, 0x82], [0, 16, 64, 256, 1_024, 4_096])
    func manyMessages(first: UInt8, length: Int) {
        let frames = [Frame](repeating: Frame(first: first, payload: Self.payload(length)), count: 100)
        ConformanceCase("9.\((first & 3) + 6)", frames, answers: frames).check(chops: [1_448])
    }

    @Test("Autobahn 10.1.1: 65536 bytes of text in fragments of 1300")
    func autoFragments() {
        Self.fragmented("10.1.1", 0x01, length: 65_536, size: 1_300).check(chops: [13, 997])
    }

    private static func payload(_ length: Int) -> [UInt8] { [UInt8](repeating: UInt8(ascii: "*"), count: length) }

    private static func fragmented(_ name: String, _ first: UInt8, length: Int, size: Int) -> ConformanceCase {
        let parts = chop(payload(length), size)
        let frames = parts.enumerated().map { index, part in
            Frame(first: (index == 0 ? first : 0x00) | (index == parts.count - 1 ? 0x80 : 0x00), payload: part)
        }
        return ConformanceCase(name, frames, answers: [Frame(first: first | 0x80, payload: payload(length))])
    }
}
