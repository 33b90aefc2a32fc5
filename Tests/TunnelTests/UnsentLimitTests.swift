import Mux
import Testing

@testable import TunnelCore

@Suite struct UnsentLimitTests {
    private static func path(_ megabits: Double, milliseconds: Double = 1, isShared: Bool) -> PathFigures {
        let rate = megabits * 125_000
        return PathFigures(rate: rate, product: rate * milliseconds / 1_000, isShared: isShared)
    }

    @Test(
        "What leaves within 8 ms waits unsent, up to 256 KiB",
        arguments: [(0.1, 16), (1, 16), (10, 16), (50, 64), (100, 128), (500, 256)]
    )
    func rates(megabits: Double, expected: Int) {
        for isShared in [true, false] {
            let path = Self.path(megabits, isShared: isShared)
            #expect(UnsentLimit.bytes(path, hasFlows: false) == expected * 1_024)
            #expect(UnsentLimit.bytes(path, hasFlows: true) == UnsentLimit.least)
        }
    }

    @Test(
        "A megabyte waits for bulk alone if the path holds half of that, and not beside interactive bytes or below 4 MB/s"
    )
    func longPath() {
        let path = Self.path(100, milliseconds: 42, isShared: false)
        #expect(UnsentLimit.bytes(path, hasFlows: false) == 1_048_576)
        #expect(UnsentLimit.bytes(path, hasFlows: true) == UnsentLimit.least)
        #expect(UnsentLimit.bytes(Self.path(100, milliseconds: 41, isShared: false), hasFlows: false) == 131_072)
        #expect(UnsentLimit.bytes(Self.path(100, milliseconds: 42, isShared: true), hasFlows: false) == 131_072)
        #expect(UnsentLimit.bytes(Self.path(32, milliseconds: 200, isShared: false), hasFlows: false) == 1_048_576)
        #expect(UnsentLimit.bytes(Self.path(31, milliseconds: 200, isShared: false), hasFlows: false) == 32_768)
    }

    @Test("A path that is not known gets 64 KiB, and one of 512 Mbit/s no limit of ours")
    func ends() {
        for isShared in [true, false] {
            #expect(UnsentLimit.bytes(Self.path(0, isShared: isShared), hasFlows: false) == UnsentLimit.first)
            let fast = Self.path(512, milliseconds: 100, isShared: isShared)
            #expect(UnsentLimit.bytes(fast, hasFlows: false) == nil)
            #expect(UnsentLimit.bytes(fast, hasFlows: true) == UnsentLimit.least)
        }
    }
}
