import Mux
import Testing

@testable import TunnelClient

/// Conclusions of a client about its path from lost carriers (N10, N11).
@Suite struct PathProfileTests {
    @Test("N10 two losses after the same idle time set the ping interval to half of it; one has no effect")
    func idle() {
        var profile = PathProfile(maximumAge: nil)
        #expect(profile.lost(age: .seconds(12), idle: .seconds(10)) == nil)
        #expect(profile.pingInterval == nil)
        #expect(profile.lost(age: .seconds(30), idle: .seconds(10.5)) == .idle(.seconds(10)))
        #expect(profile.pingInterval == .seconds(5) && profile.renewalAge == nil)
        // Further losses shorten the interval again.
        #expect(profile.lost(age: .seconds(5), idle: .seconds(4)) == nil)
        #expect(profile.lost(age: .seconds(5), idle: .seconds(4)) == .idle(.seconds(4)))
        #expect(profile.pingInterval == .seconds(2))
        // Losses after longer idle times have no effect.
        for _ in 0..<3 { #expect(profile.lost(age: .seconds(30), idle: .seconds(20)) == nil) }
        #expect(profile.pingInterval == .seconds(2))
    }

    @Test("N10 the ping interval is at least 1 s, and different or very short idle times do not set it")
    func noPingInterval() {
        var profile = PathProfile(maximumAge: nil)
        for idle in [10.0, 12, 10, 12] { #expect(profile.lost(age: .seconds(15), idle: .seconds(idle)) == nil) }
        for _ in 0..<4 { #expect(profile.lost(age: .seconds(1), idle: .milliseconds(990)) == nil) }
        for _ in 0..<2 { _ = profile.lost(age: .seconds(2), idle: .seconds(1.2)) }
        #expect(profile.pingInterval == .seconds(1))
    }

    @Test("N11 two losses at the same age set the renewal age to 90 % of it, less up to a tenth")
    func age() {
        var profile = PathProfile(maximumAge: nil)
        #expect(profile.renewal(unit: 0) == nil)
        #expect(profile.lost(age: .seconds(3_600), idle: .milliseconds(100)) == nil)
        #expect(profile.lost(age: .seconds(3_590), idle: .milliseconds(20)) == .age(.seconds(3_590)))
        #expect(profile.renewal(unit: 0).map { abs($0 / .seconds(3_231) - 1) < 1e-9 } == true)
        #expect(profile.renewal(unit: 1).map { abs($0 / .seconds(3_231) - 0.9) < 1e-9 } == true)
        #expect(profile.pingInterval == nil)
    }

    @Test("N11 losses at a low age, or at different ages, do not set a renewal age")
    func noRenewalAge() {
        var profile = PathProfile(maximumAge: nil)
        for age in [9.9, 9.9, 20, 40, 20, 40] { #expect(profile.lost(age: .seconds(age), idle: .zero) == nil) }
        #expect(profile.renewalAge == nil)
    }

    @Test("N11 a configured age applies, and losses can only reduce it")
    func given() {
        var profile = PathProfile(maximumAge: .seconds(300))
        #expect(profile.renewal(unit: 0) == .seconds(300))
        for _ in 0..<2 { #expect(profile.lost(age: .seconds(1_000), idle: .zero) == nil) }
        #expect(profile.renewalAge == .seconds(300))
        for _ in 0..<2 { _ = profile.lost(age: .seconds(100), idle: .zero) }
        #expect(profile.renewalAge == .seconds(90))
    }

    @Test("The age of a usually idle carrier is ignored")
    func idleCarrier() {
        var profile = PathProfile(maximumAge: nil)
        for _ in 0..<2 { _ = profile.lost(age: .seconds(60), idle: .seconds(59)) }
        #expect(profile.renewalAge == nil && profile.pingInterval == .seconds(29.5))
    }

    @Test(
        "N15 N16 a sleep is detected if the clocks differ by more than 30 s in either direction",
        arguments: [
            (2, 2, false), (32, 2, false), (33, 2, true), (2, 33, true), (315_360_000, 2, true),
            (-315_360_000, 2, true),
        ] as [(Int64, Int64, Bool)]
    )
    func sleep(wall: Int64, monotonic: Int64, hasSlept: Bool) {
        var detector = SleepDetector()
        #expect(detector.check(wall: 1_800_000_000, monotonic: .at(0)) == false, "the first check reports no sleep")
        #expect(detector.check(wall: 1_800_000_000 + wall, monotonic: .at(monotonic)) == hasSlept)
        let again = detector.check(wall: 1_800_000_000 + wall + 2, monotonic: .at(monotonic + 2))
        #expect(again == false, "a sleep is reported once")
    }

    @Test("N16 extreme values of the wall clock do not trap")
    func clockEnds() {
        var detector = SleepDetector()
        #expect(detector.check(wall: .min, monotonic: .at(0)) == false)
        #expect(detector.check(wall: .max, monotonic: .at(1)) == true)
        #expect(detector.check(wall: .min, monotonic: .at(2)) == true)
    }
}

extension Instant {
    fileprivate static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds + 100) }
}
