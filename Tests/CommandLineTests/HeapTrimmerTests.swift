import Testing

@testable import culvert

/// When memory goes back to the system.
@Suite struct HeapTrimmerTests {
    private let high = 10 * HeapTrimPolicy.fall

    /// The looks, by their numbers from 1, at which the heap is trimmed.
    private func trims(_ looks: [Int], taking time: Duration = .zero) -> [Int] {
        var policy = HeapTrimPolicy()
        var trims: [Int] = []
        for (number, bytes) in looks.enumerated() where policy.trims(bytes) {
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
    func swell() {
        #expect(trims([high, 0, high, 0, high, 0, high]) == [])
        #expect(trims([high, 0, high, 0, 0]) == [5])
    }

    @Test("trimming takes at most a fiftieth of the time")
    func share() {
        // A tenth of a second costs five looks.
        let looks = (0..<20).map { $0 % 3 == 0 ? high : 0 }
        #expect(trims(looks) == [3, 6, 9, 12, 15, 18])
        #expect(trims(looks, taking: .milliseconds(100)) == [3, 9, 15])
    }
}
