import Synchronization
import Testing

@testable import TunnelCore

/// When memory goes back to the system: time is what the test says it is.
@Suite struct HeapTrimmerTests {
    private let tide: HeapTrimmer
    private let waits: Waits

    /// Looks that are due, and gifts so far.
    private final class Waits: Sendable {
        let state = Mutex<(looks: [(time: Duration, body: @Sendable () -> Void)], gifts: Int)>(([], 0))

        var count: Int { state.withLock { $0.looks.count } }
        var gifts: Int { state.withLock { $0.gifts } }

        /// The first look's time has come.
        func pass() -> Duration? {
            let look = state.withLock { $0.looks.isEmpty ? nil : $0.looks.removeFirst() }
            look?.body()
            return look?.time
        }
    }

    init() {
        let waits = Waits()
        self.waits = waits
        tide = HeapTrimmer(later: { time, body in waits.state.withLock { $0.looks.append((time, body)) } }) {
            waits.state.withLock { $0.gifts += 1 }
        }
    }

    @Test("memory goes back half a second after a burst, once, and again after the next one")
    func bursts() {
        for number in 1...2 {
            tide.moves { 10 * HeapTrimmer.fall }
            tide.moves { 0 }
            tide.moves { 0 }
            #expect(waits.count == 1)
            #expect(waits.gifts == number - 1)
            #expect(waits.pass() == HeapTrimmer.rest)
            #expect(waits.gifts == number)
            #expect(waits.count == 0)
        }
    }

    @Test("a byte less than the fall gives nothing back, the fall does")
    func mark() {
        tide.moves { HeapTrimmer.fall }
        tide.moves { 1 }
        #expect(waits.count == 0)
        tide.moves { 0 }
        _ = waits.pass()
        #expect(waits.gifts == 1)
    }

    @Test("what rises again is no ebb, however often it falls; once it stays low, nobody need say so again")
    func swell() {
        for _ in 0..<3 {
            tide.moves { 10 * HeapTrimmer.fall }
            tide.moves { 0 }
            tide.moves { 10 * HeapTrimmer.fall }
            tide.moves { 0 }
            #expect(waits.count == 1)
            #expect(waits.pass() != nil)
            #expect(waits.gifts == 0)
        }
        // The last look saw the rise, and began the wait for the fall behind it.
        #expect(waits.pass() != nil)
        #expect(waits.gifts == 1)
        #expect(waits.count == 0)
    }
}
