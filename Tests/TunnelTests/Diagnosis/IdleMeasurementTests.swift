import Testing

@testable import TunnelClient

@Suite("What silences say of a path")
struct IdleMeasurementTests {
    private typealias Outcome = IdleMeasurement.Outcome

    private func check(_ outcomes: [(Int, Outcome)]) -> DiagnosisCheck {
        IdleMeasurement.idle(outcomes.map { (.seconds($0), $1) })
    }

    @Test("A path that keeps all silences is named with the longest")
    func kept() {
        let check = check([(20, .kept), (60, .kept), (600, .kept)])
        #expect(check.verdict == .ok && check.fact == "an idle WebSocket is kept for 10 min")
    }

    @Test("A cut beyond the time between pings is no reason to warn")
    func cutLate() {
        let check = check([
            (20, .kept), (45, .kept), (60, .cut(.seconds(60), "reset")), (90, .cut(.seconds(60), "reset")),
        ])
        #expect(check.verdict == .ok)
        #expect(
            check.fact
                == "an idle WebSocket is cut after 1 min (reset), and kept for 45.0 s; the client's pings come every 20 s"
        )
    }

    @Test("A cut within the time between pings has a remedy")
    func cutEarly() {
        let check = check([(20, .cut(.seconds(5), "closed")), (30, .cut(.seconds(5), "closed"))])
        #expect(check.verdict == .warn && check.remedy == "set ping_interval = \"2 s\" in [limits]")
    }

    @Test("A measurement that failed says why")
    func unknown() {
        let check = check([(20, .unknown("no answer")), (30, .unknown("no answer"))])
        #expect(check.verdict == .warn && check.fact == "no answer")
        #expect(IdleMeasurement.age(.unknown("no answer"), .seconds(60)).verdict == .warn)
    }

    @Test("A WebSocket that is cut in use leads to a carrier age below that")
    func age() {
        #expect(IdleMeasurement.age(.kept, .seconds(600)).verdict == .ok)
        let check = IdleMeasurement.age(.cut(.seconds(300), "closed"), .seconds(600))
        #expect(check.verdict == .warn && check.remedy == "replace it in time with --max-carrier-age 270s")
    }
}
