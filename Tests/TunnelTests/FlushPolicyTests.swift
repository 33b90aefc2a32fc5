import Testing

@testable import TunnelCore

/// What is passed on before the loop's turn ends.
@Suite struct FlushPolicyTests {
    @Test("the carrier is written after sixteen pieces, and after each further sixteen")
    func pieces() {
        var promptness = FlushPolicy()
        for _ in 0..<3 {
            #expect(!promptness.hasPiece)
            var answers: [Bool] = []
            for _ in 0..<16 {
                promptness.brings()
                answers.append(promptness.pumps(isAwaited: false))
            }
            #expect(promptness.hasPiece)
            #expect(answers == Array(repeating: false, count: 15) + [true])
            promptness.pumped()
        }
    }

    @Test("it is written at once for who waits beside copies, four times in a turn")
    func awaited() {
        var promptness = FlushPolicy()
        for _ in 0..<3 {
            var answers: [Bool] = []
            for _ in 0..<6 {
                promptness.brings()
                answers.append(promptness.pumps(isAwaited: true))
                promptness.pumped()
            }
            #expect(answers == [true, true, true, true, false, false])
            promptness.turnEnds()
        }
    }

    @Test("where services are joined by the dozen, the carrier is written after each second, from six to sixteen")
    func services() {
        var promptness = FlushPolicy()
        for count in [2, 5, 20, 6, 3] {
            let written = (1...count).filter { _ in promptness.joins() }
            #expect(written == [6, 8, 10, 12, 14, 16].filter { $0 <= count })
            promptness.readEnds()
        }
    }

    @Test("sockets are written eight at a time, thirty-two times within one read")
    func sockets() {
        var promptness = FlushPolicy()
        for _ in 0..<3 {
            let few = promptness.flushes(7)
            #expect(!few)
            let answers = (0..<34).map { _ in promptness.flushes(8) }
            #expect(answers == Array(repeating: true, count: 32) + [false, false])
            promptness.readEnds()
        }
    }
}
