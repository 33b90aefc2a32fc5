import Testing

@testable import TunnelClient

@Suite("The state of a checked service")
struct HealthStateTests {
    /// The state behind each result: `?` unknown, `u` up, `d` down.
    @Test(
        "decides at once at first, falls after three bad results in a row, and rises after two good ones in a row",
        arguments: [
            ("+", "u"), ("-", "d"), ("+--", "uuu"), ("+---", "uuud"), ("+--+--", "uuuuuu"), ("-+", "dd"),
            ("-++", "ddu"), ("-+-++", "ddddu"), ("+---+-++", "uuuddddu"),
        ]
    )
    func table(results: String, expected: String) {
        var state = HealthState()
        #expect(state.isUp == nil)
        var states = ""
        for result in results {
            let before = state.isUp
            let hasChanged = state.note(isGood: result == "+")
            #expect(hasChanged == (state.isUp != before))
            states += state.isUp == true ? "u" : "d"
        }
        #expect(states == expected)
    }
}
