import Testing

@testable import culvert_bench

@Suite("The rate of a throttled connection") struct TokenBucketTests {
    @Test("bytes without a pause pass at the rate, after a burst of 10 ms") func rate() {
        var bucket = TokenBucket(megabitsPerSecond: 8)
        var now = 1.0
        for _ in 0..<1_000 { now = bucket.pass(bytes: 1_000, at: now) }
        #expect(abs(now - 1.990) < 1e-6)
    }

    @Test("a pause gives credit for the burst only") func pause() {
        var bucket = TokenBucket(megabitsPerSecond: 8)
        #expect(bucket.pass(bytes: 10_000, at: 100) == 100)
        #expect(abs(bucket.pass(bytes: 5_000, at: 100) - 100.005) < 1e-6)
        #expect(bucket.pass(bytes: 10_000, at: 500) == 500)
    }
}
