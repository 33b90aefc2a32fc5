import Mux
import Testing

@testable import TunnelClient
@testable import TunnelServer

/// A server restarts with 1,000 clients (N19), with the real back-off and admission on a simulated clock.
@Suite struct ServerRestartTests {
    private struct Client {
        var backoff = Backoff()
        var next: Duration
    }

    private static func millisecond(_ time: Duration) -> Int64 { Int64(time / .milliseconds(1)) }

    /// Simulates a restart.
    ///
    /// - Parameters:
    ///   - downFor: the time without a server.
    ///   - pause: the delay that the server announced when it stopped, a second for each 100 clients; nil after a
    ///     crash.
    /// - Returns: the time at which each client was back, and the maximum of connections within a second.
    private func simulate(downFor: Duration, pause: Duration?, seed: UInt64) -> (back: [Duration], busiest: Int) {
        var random = Seeded(state: seed)
        let start = Instant(nanoseconds: 1_000_000_000)
        let admission = Admission(ServerLimits(), now: start)
        var clients = (0..<1_000).map { _ in
            var client = Client(next: .zero)
            client.backoff.dialled(now: Instant(nanoseconds: 0))
            client.next = client.backoff.lost(held: .seconds(600), unit: random.unit(), pause: pause, now: start)
            return client
        }
        // The clients that dial in each millisecond.
        var schedule = Dictionary(grouping: clients.indices) { Self.millisecond(clients[$0].next) }
        var back: [Duration] = []
        var perSecond: [Int64: Int] = [:]
        for millisecond in 0..<Int64(600_000) where back.count < clients.count {
            let time = Duration.milliseconds(millisecond)
            let now = start + time
            for index in schedule.removeValue(forKey: millisecond) ?? [] {
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
                schedule[max(millisecond + 1, Self.millisecond(time + wait)), default: []].append(index)
            }
        }
        return (back, perSecond.values.max() ?? 0)
    }

    @Test(
        "N19 after a restart 1,000 clients reconnect within a minute, at the rate that the server admits",
        arguments: [0, 5] as [Int64],
        [nil, 10] as [Int64?]
    )
    func restart(downFor: Int64, pause: Int64?) {
        for seed in UInt64(1)...2 {
            let (back, busiest) = simulate(downFor: .seconds(downFor), pause: pause.map { .seconds($0) }, seed: seed)
            #expect(back.count == 1_000)
            let last = back.last ?? .seconds(600)
            #expect(last - .seconds(downFor) < .seconds(60), "the last client is back after \(last)")
            // The token bucket limits the rate.
            for second in 0..<60 {
                let admitted = back.count { $0.components.seconds == Int64(second) }
                #expect(admitted <= 200, "\(admitted) in second \(second)")
            }
            // With an announced delay the dials are spread.
            if pause != nil { #expect(busiest <= 250, "\(busiest) dials in one second") }
        }
    }

    private func dial(_ admission: Admission, _ address: String?, ticket: String? = nil, _ now: Instant) -> Bool {
        guard let place = admission.enter(address, ticket: ticket, now: now) else { return false }
        admission.leave(place)
        return true
    }

    @Test("N19 strangers have three quarters of the rate of 100 connections a second, and known clients the rest")
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

    @Test("N19 one address has a quarter of the rate, and does not block others")
    func share() {
        let start = Instant(nanoseconds: 1_000_000_000)
        let admission = Admission(ServerLimits(), now: start)
        for _ in 0..<25 { #expect(dial(admission, "192.0.2.1", start)) }
        for _ in 0..<1_000 { #expect(!dial(admission, "192.0.2.1", start)) }
        for other in 0..<50 { #expect(dial(admission, "198.51.100.\(other)", start)) }
        #expect(!dial(admission, "203.0.113.1", start), "the rate of all strangers is used up")
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
