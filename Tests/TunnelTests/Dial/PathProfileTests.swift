import Mux
import Testing

@testable import TunnelClient

/// What a client learns about its path from carriers that died (N10, N11).
@Suite struct PathProfileTests {
    @Test("N10 two deaths after the same silence are a lesson: pings at half of it; one is none")
    func idle() {
        var lessons = PathProfile(maximumAge: nil)
        #expect(lessons.lost(age: .seconds(12), idle: .seconds(10)) == nil)
        #expect(lessons.pingInterval == nil)
        #expect(lessons.lost(age: .seconds(30), idle: .seconds(10.5)) == .idle(.seconds(10)))
        #expect(lessons.pingInterval == .seconds(5) && lessons.renewalAge == nil)
        // It still dies, and so the next lesson goes further.
        #expect(lessons.lost(age: .seconds(5), idle: .seconds(4)) == nil)
        #expect(lessons.lost(age: .seconds(5), idle: .seconds(4)) == .idle(.seconds(4)))
        #expect(lessons.pingInterval == .seconds(2))
        // Longer silences teach nothing new.
        for _ in 0..<3 { #expect(lessons.lost(age: .seconds(30), idle: .seconds(20)) == nil) }
        #expect(lessons.pingInterval == .seconds(2))
    }

    @Test("N10 no lesson makes pings come more than once a second, nor do silences that differ, nor those of moments")
    func noIdleLesson() {
        var lessons = PathProfile(maximumAge: nil)
        for idle in [10.0, 12, 10, 12] { #expect(lessons.lost(age: .seconds(15), idle: .seconds(idle)) == nil) }
        for _ in 0..<4 { #expect(lessons.lost(age: .seconds(1), idle: .milliseconds(990)) == nil) }
        for _ in 0..<2 { _ = lessons.lost(age: .seconds(2), idle: .seconds(1.2)) }
        #expect(lessons.pingInterval == .seconds(1))
    }

    @Test("N11 two deaths at the same age are a lesson: renewal before it, spread over a tenth")
    func age() {
        var lessons = PathProfile(maximumAge: nil)
        #expect(lessons.renewal(unit: 0) == nil)
        #expect(lessons.lost(age: .seconds(3_600), idle: .milliseconds(100)) == nil)
        #expect(lessons.lost(age: .seconds(3_590), idle: .milliseconds(20)) == .age(.seconds(3_590)))
        #expect(lessons.renewal(unit: 0).map { abs($0 / .seconds(3_231) - 1) < 1e-9 } == true)
        #expect(lessons.renewal(unit: 1).map { abs($0 / .seconds(3_231) - 0.9) < 1e-9 } == true)
        #expect(lessons.pingInterval == nil)
    }

    @Test("N11 carriers that die young, or at ages that differ, are no lesson")
    func noAgeLesson() {
        var lessons = PathProfile(maximumAge: nil)
        for age in [9.9, 9.9, 20, 40, 20, 40] { #expect(lessons.lost(age: .seconds(age), idle: .zero) == nil) }
        #expect(lessons.renewalAge == nil)
    }

    @Test("N11 an age that was given holds, and a lesson only makes it less")
    func given() {
        var lessons = PathProfile(maximumAge: .seconds(300))
        #expect(lessons.renewal(unit: 0) == .seconds(300))
        for _ in 0..<2 { #expect(lessons.lost(age: .seconds(1_000), idle: .zero) == nil) }
        #expect(lessons.renewalAge == .seconds(300))
        for _ in 0..<2 { _ = lessons.lost(age: .seconds(100), idle: .zero) }
        #expect(lessons.renewalAge == .seconds(90))
    }

    @Test("A carrier that was idle for most of its life tells nothing of ages")
    func idleIsNoAge() {
        var lessons = PathProfile(maximumAge: nil)
        for _ in 0..<2 { _ = lessons.lost(age: .seconds(60), idle: .seconds(59)) }
        #expect(lessons.renewalAge == nil && lessons.pingInterval == .seconds(29.5))
    }

    @Test(
        "N15 N16 a machine has slept when its clocks disagree by more than 30 s, forwards or backwards",
        arguments: [
            (2, 2, false), (32, 2, false), (33, 2, true), (2, 33, true), (315_360_000, 2, true),
            (-315_360_000, 2, true),
        ] as [(Int64, Int64, Bool)]
    )
    func sleep(wall: Int64, monotonic: Int64, hasSlept: Bool) {
        var detector = SleepDetector()
        #expect(detector.check(wall: 1_800_000_000, monotonic: .at(0)) == false, "the first check reports nothing")
        #expect(detector.check(wall: 1_800_000_000 + wall, monotonic: .at(monotonic)) == hasSlept)
        let again = detector.check(wall: 1_800_000_000 + wall + 2, monotonic: .at(monotonic + 2))
        #expect(again == false, "it is reported once")
    }

    @Test("N16 a wall clock at its ends traps nothing")
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
