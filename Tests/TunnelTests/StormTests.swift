import Mux
import Testing

@testable import TunnelClient
@testable import TunnelServer

/// A server restarts under a thousand clients (N19): real back-off and real admission, on a clock of the test's own.
@Suite struct StormTests {
    private struct Client {
        var backoff = Backoff()
        var next: Duration
    }

    private static func millisecond(_ time: Duration) -> Int64 { Int64(time / .milliseconds(1)) }

    /// Plays a restart.
    ///
    /// - Parameters:
    ///   - downFor: how long nothing answers.
    ///   - pause: what the server said when it stopped, where it could: a second for each hundred clients.
    /// - Returns: when each client was back, and the most connections within any second.
    private func storm(downFor: Duration, pause: Duration?, seed: UInt64) -> (back: [Duration], busiest: Int) {
        var random = Seeded(state: seed)
        let start = Instant(nanoseconds: 1_000_000_000)
        let admission = Admission(ServerLimits(), now: start)
        var clients = (0..<1_000).map { _ in
            var client = Client(next: .zero)
            client.backoff.dialled(now: Instant(nanoseconds: 0))
            client.next = client.backoff.lost(held: .seconds(600), unit: random.unit(), pause: pause, now: start)
            return client
        }
        // Who dials in each millisecond.
        var agenda = Dictionary(grouping: clients.indices) { Self.millisecond(clients[$0].next) }
        var back: [Duration] = []
        var perSecond: [Int64: Int] = [:]
        for millisecond in 0..<Int64(600_000) where back.count < clients.count {
            let time = Duration.milliseconds(millisecond)
            let now = start + time
            for index in agenda.removeValue(forKey: millisecond) ?? [] {
                clients[index].backoff.dialled(now: now)
                let isUp = time >= downFor
                if isUp { perSecond[millisecond / 1_000, default: 0] += 1 }
                if isUp, let place = admission.enter(nil, now: now) {
                    admission.leave(place)
                    back.append(time)
                    continue
                }
                let wait = clients[index].backoff.failed(
                    unit: random.unit(),
                    pause: isUp ? .seconds(2) : nil,
                    now: now
                )
                agenda[max(millisecond + 1, Self.millisecond(time + wait)), default: []].append(index)
            }
        }
        return (back, perSecond.values.max() ?? 0)
    }

    @Test(
        "N19 after a restart a thousand clients are back within a minute, at the rate that the server admits",
        arguments: [0, 5] as [Int64],
        [nil, 10] as [Int64?]
    )
    func restart(downFor: Int64, pause: Int64?) {
        for seed in UInt64(1)...2 {
            let (back, busiest) = storm(downFor: .seconds(downFor), pause: pause.map { .seconds($0) }, seed: seed)
            #expect(back.count == 1_000)
            let last = back.last ?? .seconds(600)
            #expect(last - .seconds(downFor) < .seconds(60), "the last one is back after \(last)")
            // No faster than the bucket lets them, and not all in one second.
            for second in 0..<60 {
                let admitted = back.count { $0.components.seconds == Int64(second) }
                #expect(admitted <= 200, "\(admitted) in second \(second)")
            }
            // Where it could say when, they do not even knock together.
            if pause != nil { #expect(busiest <= 250, "\(busiest) dials in one second") }
        }
    }

    private func dial(_ admission: Admission, _ address: String?, ticket: String? = nil, _ now: Instant) -> Bool {
        guard let place = admission.enter(address, ticket: ticket, now: now) else { return false }
        admission.leave(place)
        return true
    }

    @Test("N19 strangers have three quarters of a hundred connections in a second, and known clients the rest")
    func rate() {
        let start = Instant(nanoseconds: 1_000_000_000)
        let admission = Admission(ServerLimits(), now: start)
        for _ in 0..<75 { #expect(dial(admission, nil, start)) }
        #expect(!dial(admission, nil, start))
        #expect(!dial(admission, nil, start + .milliseconds(9)))
        #expect(dial(admission, nil, start + .milliseconds(11)))
        #expect(!dial(admission, nil, start + .milliseconds(11)))
        for client in 0..<25 { #expect(dial(admission, nil, ticket: "\(client)", start + .milliseconds(11))) }
        #expect(!dial(admission, nil, ticket: "another", start + .milliseconds(11)))
    }

    @Test("N19 one address has a quarter of the rate, and cannot keep the others out")
    func share() {
        let start = Instant(nanoseconds: 1_000_000_000)
        let admission = Admission(ServerLimits(), now: start)
        for _ in 0..<25 { #expect(dial(admission, "192.0.2.1", start)) }
        for _ in 0..<1_000 { #expect(!dial(admission, "192.0.2.1", start)) }
        for other in 0..<50 { #expect(dial(admission, "198.51.100.\(other)", start)) }
        #expect(!dial(admission, "203.0.113.1", start), "that was the rate of all strangers")
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }

        mutating func unit() -> Double { Double.random(in: 0...1, using: &self) }
    }
}
