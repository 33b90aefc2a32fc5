import Mux
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("Limits of log lines")
struct LogThrottleTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func throttle(_ lines: Int) -> LogThrottle {
        var limits = ServerLimits()
        limits.logLines = lines
        return LogThrottle(lines: limits.logLines)
    }

    @Test("P16 lines are limited in 10 s, and the next line has the number of omitted ones")
    func limit() {
        let throttle = throttle(3)
        let admitted = (0..<10).map { _ in throttle.admit(now: start).isLogged }
        #expect(admitted == [true, true, true] + [Bool](repeating: false, count: 7))
        #expect(throttle.admit(now: start + .milliseconds(9_999)).isLogged == false)
        let next = throttle.admit(now: start + .seconds(10))
        #expect(next.isLogged && next.suppressed == 8)
        #expect(throttle.admit(now: start + .seconds(11)).suppressed == 0)
    }

    @Test("A new limit applies from the next line on")
    func update() {
        let throttle = throttle(1)
        #expect(throttle.admit(now: start).isLogged)
        var limits = ServerLimits()
        limits.logLines = 2
        throttle.update(lines: limits.logLines)
        #expect(throttle.admit(now: start).isLogged)
        #expect(!throttle.admit(now: start).isLogged)
    }
}
