import Testing

@testable import TunnelCore

@Suite struct UnsentLimitTests {
    private static let megabit = 125_000.0

    @Test(
        "Few unsent bytes wait beside interactive streams, and what leaves within 80 ms for bulk alone",
        arguments: [(0.1, 16, 16), (1, 16, 16), (10, 16, 128), (50, 64, 512), (100, 128, 1_024), (500, 256, 1_024)]
    )
    func rates(megabits: Double, beside: Int, alone: Int) {
        let rate = megabits * Self.megabit
        #expect(UnsentLimit.bytes(rate: rate, hasFlows: false, isShared: true) == beside * 1_024)
        #expect(UnsentLimit.bytes(rate: rate, hasFlows: false, isShared: false) == alone * 1_024)
        #expect(UnsentLimit.bytes(rate: rate, hasFlows: true, isShared: false) == UnsentLimit.least)
    }

    @Test("A path that is not known gets 64 KiB, and one of 512 Mbit/s no limit of ours")
    func ends() {
        for isShared in [true, false] {
            #expect(UnsentLimit.bytes(rate: 0, hasFlows: false, isShared: isShared) == UnsentLimit.first)
            #expect(UnsentLimit.bytes(rate: 64e6, hasFlows: false, isShared: isShared) == nil)
            #expect(UnsentLimit.bytes(rate: 64e6, hasFlows: true, isShared: isShared) == UnsentLimit.least)
        }
    }
}
