import Testing

@testable import TunnelCore

/// Flushes before the end of an event loop's iteration.
@Suite struct FlushPolicyTests {
    @Test("The carrier is flushed after each 16 chunks")
    func chunks() {
        var policy = FlushPolicy()
        for _ in 0..<3 {
            #expect(!policy.hasBytes)
            let answers = (0..<16).map { _ in policy.bytesCame(isInteractive: false, besideBulk: true) }
            #expect(policy.hasBytes)
            #expect(answers == Array(repeating: false, count: 15) + [true])
            policy.sent()
        }
    }

    @Test("The carrier is flushed at once for interactive bytes beside bulk data, up to four times in an iteration")
    func interactive() {
        var policy = FlushPolicy()
        for _ in 0..<3 {
            let answers = (0..<6).map { _ in
                defer { policy.sent() }
                return policy.bytesCame(isInteractive: true, besideBulk: true)
            }
            #expect(answers == [true, true, true, true, false, false])
            policy.iterationEnded()
        }
        let alone = policy.bytesCame(isInteractive: true, besideBulk: false)
        #expect(!alone)
    }

    @Test("Sockets are flushed eight at a time, up to 32 times within one read")
    func sockets() {
        var policy = FlushPolicy()
        for _ in 0..<3 {
            let few = policy.flushesSockets(7)
            #expect(!few)
            let answers = (0..<34).map { _ in policy.flushesSockets(8) }
            #expect(answers == Array(repeating: true, count: 32) + [false, false])
            policy.carrierReadCompleted()
            let one = policy.flushesSockets(1, connectsNext: true)
            #expect(one)
            policy.carrierReadCompleted()
        }
    }
}
