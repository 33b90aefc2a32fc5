import Testing

@testable import culvert

/// Decides when to return memory to the system.
@Suite struct HeapTrimmerTests {
    private let high = 10 * HeapTrimPolicy.fall

    /// The numbers of the checks, from 1, at which the heap is trimmed.
    private func trims(_ checks: [Int], taking time: Duration = .zero) -> [Int] {
        var policy = HeapTrimPolicy()
        var trims: [Int] = []
        for (number, bytes) in checks.enumerated() where policy.trims(bytes) {
            policy.trimmed(in: time)
            trims.append(number + 1)
        }
        return trims
    }

    @Test("the heap is trimmed at the second check after a burst, once, and again after the next burst")
    func bursts() {
        #expect(trims([high, 0, 0, 0, 0, high, 0, 0, 0]) == [3, 8])
    }

    @Test("a fall by the threshold causes a trim, and a fall by a byte less does not")
    func fall() {
        #expect(trims([HeapTrimPolicy.fall, 1, 1, 1]) == [])
        #expect(trims([HeapTrimPolicy.fall, 0, 0]) == [3])
    }

    @Test("the heap is not trimmed if its use rises again before the second check")
    func rise() {
        #expect(trims([high, 0, high, 0, high, 0, high]) == [])
        #expect(trims([high, 0, high, 0, 0]) == [5])
    }

    @Test("trimming takes at most 2 % of the time")
    func share() {
        // After a trim of 100 ms the next five checks do not trim.
        let checks = (0..<20).map { $0 % 3 == 0 ? high : 0 }
        #expect(trims(checks) == [3, 6, 9, 12, 15, 18])
        #expect(trims(checks, taking: .milliseconds(100)) == [3, 9, 15])
    }
}
