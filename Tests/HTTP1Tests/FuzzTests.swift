import Foundation
import HTTP1
import TestSupport
import Testing

/// Seeded mutations of the requests and answers in Fixtures. A parser never traps; it gives a head or one typed error,
/// the same at every split.
@Suite("Mutated heads")
struct FuzzTests {
    @Test("H20 a mutated request gives the same head or error at every split")
    func requests() throws {
        let seeds = try Fuzzing.corpus("http1/accept") + Fuzzing.corpus("http1/reject")
        fuzz(seeds.map(\.bytes), 0x11) { parseRequest($0) }
    }

    @Test("R7 a mutated answer gives the same head or error at every split")
    func responses() throws {
        // In a transcript each answer follows a line of its own.
        let answers = try Fuzzing.corpus("proxy").flatMap { file in
            String(decoding: file.bytes, as: UTF8.self).components(separatedBy: "--- says\n").dropFirst()
        }
        #expect(answers.filter { parseResponse([Array($0.utf8)]).head != nil }.count > 5, "some seeds are heads")
        fuzz(answers.map { Array($0.utf8) }, 0x12) { parseResponse($0) }
    }

    private func fuzz<Head>(_ seeds: [[UInt8]], _ seed: UInt64, _ parse: ([[UInt8]]) -> Parsed<Head>) {
        var random = Fuzzing.generator(seed)
        let end = ContinuousClock.now + Fuzzing.time
        var rounds = 0
        while ContinuousClock.now < end {
            rounds += 1
            let bytes = Fuzzing.mutate(seeds[rounds % seeds.count], &random)
            let whole = parse([bytes])
            let isSame = whole == parse(Fuzzing.cut(bytes, &random)) && whole == parse(bytes.map { [$0] })
            guard isSame else {
                Issue.record("round \(rounds): \(bytes) gives \(whole) only if it is not split")
                return
            }
        }
        #expect(rounds > 10)
    }
}
