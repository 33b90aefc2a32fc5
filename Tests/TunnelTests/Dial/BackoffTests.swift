import Mux
import Testing

@testable import TunnelClient

@Suite("Back-off between dials")
struct BackoffTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("The maximum wait doubles from 0.5 s to 30 s, and the wait is random below it")
    func ceilingDoubles() {
        var backoff = Backoff()
        var now = start
        var ceilings: [Duration] = []
        for _ in 0..<9 {
            backoff.dialled(now: now)
            now = now + .seconds(1)
            ceilings.append(backoff.failed(unit: 1, pause: nil, now: now))
        }
        #expect(ceilings.map { $0 / .milliseconds(500) } == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        var low = Backoff()
        low.dialled(now: start)
        #expect(low.failed(unit: 0, pause: nil, now: start + .seconds(1)) == .zero)
    }

    @Test(
        "After a refusal the next dial follows after a minute, and later ones after up to 15 min"
    )
    func refusals() {
        var backoff = Backoff()
        for unit in [0.0, 1.0] {
            let waits = (0..<7).map { _ in backoff.refused(unit: unit, now: start) / .seconds(1) }
            #expect(waits == (unit == 0 ? [60, 120, 240, 480, 900, 900, 900] : [75, 150, 300, 600, 900, 900, 900]))
            backoff.sessionStood()
        }
    }

    @Test("Dials that lead to servers in use get rarer, to one in a minute, and a session begins the count again")
    func serverInUse() {
        var backoff = Backoff()
        for unit in [0.0, 1.0] {
            let waits = (0..<9).map { _ in backoff.serverInUse(unit: unit, now: start) / .milliseconds(250) }
            let longest = [1, 2, 4, 8, 16, 32, 64, 120, 120] as [Double]
            #expect(waits == longest.map { unit == 0 ? $0 : $0 * 2 })
            #expect(backoff.triesSinceSession == 0, "it is no failure")
            backoff.sessionStood()
        }
    }

    @Test("A lost session is dialled again at once, but at most twice a second")
    func lostSessionIsDialledAtOnce() {
        var backoff = Backoff()
        backoff.dialled(now: start)
        #expect(backoff.lost(held: .seconds(60), unit: 1, pause: nil, now: start + .seconds(60)) == .zero)
        backoff.dialled(now: start + .seconds(60))
        let wait = backoff.lost(held: .milliseconds(10), unit: 1, pause: nil, now: start + .milliseconds(60_100))
        #expect(wait == .milliseconds(400))
    }

    @Test("N20 carriers that die within 1 s do not reduce the maximum wait, and one that lasted 10 s resets it")
    func youngSessionsKeepTheCeiling() {
        var backoff = Backoff()
        var now = start
        for _ in 0..<4 {
            backoff.dialled(now: now)
            now = now + .seconds(40)
            _ = backoff.failed(unit: 1, pause: nil, now: now)
        }
        _ = backoff.lost(held: .milliseconds(999), unit: 1, pause: nil, now: now)
        #expect(backoff.failed(unit: 1, pause: nil, now: now + .seconds(40)) == .seconds(8))
        _ = backoff.lost(held: .seconds(10), unit: 1, pause: nil, now: now)
        #expect(backoff.failed(unit: 1, pause: nil, now: now + .seconds(80)) == .milliseconds(500))
    }

    @Test("Each carrier that lasted between 1 s and 10 s halves the count of failures", arguments: [1.0, 9.999])
    func usefulCarriers(held: Double) {
        var backoff = Backoff()
        for _ in 0..<8 { _ = backoff.failed(unit: 1, pause: nil, now: start) }
        var waits: [Duration] = []
        for _ in 0..<4 {
            _ = backoff.lost(held: .seconds(held), unit: 1, pause: nil, now: start)
            waits.append(backoff.failed(unit: 1, pause: nil, now: start))
        }
        #expect(waits.map { $0 / .seconds(1) } == [8, 2, 1, 1])
    }

    @Test("A requested pause is obeyed up to 5 min")
    func requestedPauses() {
        var backoff = Backoff()
        backoff.dialled(now: start)
        let later = start + .seconds(1)
        #expect(backoff.failed(unit: 0, pause: .seconds(7), now: later) == .seconds(7))
        #expect(backoff.failed(unit: 0, pause: .seconds(100_000), now: later) == .seconds(300))
        #expect(backoff.lost(held: .zero, unit: 0, pause: .seconds(2), now: later) == .seconds(2))
    }

    @Test("--max-retries counts dials since the last session")
    func triesAreCounted() {
        var backoff = Backoff()
        for _ in 0..<3 { _ = backoff.failed(unit: 0, pause: nil, now: start) }
        #expect(backoff.triesSinceSession == 3)
        _ = backoff.lost(held: .zero, unit: 0, pause: nil, now: start)
        #expect(backoff.triesSinceSession == 0)
    }
}
