import Dispatch
import Testing

@testable import Tunnel

/// When memory goes back to the system.
@Suite struct MemoryTideTests {
    private let gifts: AsyncStream<Void>
    private let gift: AsyncStream<Void>.Continuation

    init() {
        (gifts, gift) = AsyncStream.makeStream(of: Void.self)
    }

    private func tide(rest: DispatchTimeInterval = .milliseconds(1)) -> MemoryTide {
        MemoryTide(rest: rest) { [gift] in gift.yield() }
    }

    @Test("it goes back after a burst, and after the next one")
    func bursts() async {
        let tide = tide()
        var iterator = gifts.makeAsyncIterator()
        for _ in 0..<2 {
            tide.stands(at: 10 * MemoryTide.fall)
            tide.stands(at: 0)
            await iterator.next()
        }
    }

    @Test("a byte less than the fall gives nothing back, the fall does")
    func mark() async {
        let low = tide()
        low.stands(at: MemoryTide.fall)
        low.stands(at: 1)
        let (others, other) = AsyncStream.makeStream(of: Void.self)
        let enough = MemoryTide(rest: .milliseconds(1)) { other.yield() }
        enough.stands(at: MemoryTide.fall)
        enough.stands(at: 0)
        for await _ in others { break }
        gift.finish()
        var count = 0
        for await _ in gifts { count += 1 }
        #expect(count == 0)
    }

    /// A copy that goes on rises again within the rest, and no look at it may find it low.
    @Test("what rises again at once is no ebb; where it falls for good unseen, a second look finds it")
    func swell() async {
        let tide = tide(rest: .milliseconds(20))
        tide.stands(at: 10 * MemoryTide.fall)
        tide.stands(at: 0)
        tide.stands(at: 10 * MemoryTide.fall)
        tide.stands(at: 0)
        // Nothing more is told: the first look sees the rise, and the second one the fall.
        for await _ in gifts { break }
    }
}
