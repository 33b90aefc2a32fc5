import ClientHello
import TestSupport
import Testing

/// Seeded mutations of the hellos in Fixtures. The reader never traps, gives the same at every split, and never gives a
/// name that is not a host name.
@Suite("Mutated ClientHellos")
struct FuzzTests {
    @Test("A mutated hello gives a hello with a legal name, an error or a request for more bytes")
    func mutated() throws {
        let seeds = try Fuzzing.corpus("clienthello").map(\.bytes)
        // Those of one record, which can be taken apart.
        let parts = try ["openssl-alpn", "curl", "ech-outer"].map { HelloParts(try fixture($0)) }
        var random = Fuzzing.generator(0x24)
        let end = ContinuousClock.now + Fuzzing.time
        var (rounds, names) = (0, 0)
        while ContinuousClock.now < end {
            rounds += 1
            let bytes =
                rounds.isMultiple(of: 2)
                ? Fuzzing.mutate(seeds[rounds / 2 % seeds.count], &random)
                : Self.mutateExtension(of: parts[rounds / 2 % parts.count], &random)
            let outcome = read([bytes])
            if case .hello(let hello) = outcome, let name = hello.serverName {
                names += 1
                #expect(Self.isHostName(name), "round \(rounds): \(name.debugDescription)")
            }
            guard rounds.isMultiple(of: 8) else { continue }
            #expect(outcome == read(Fuzzing.cut(bytes, &random)), "round \(rounds): \(bytes)")
        }
        #expect(names > 10 && names < rounds)
    }

    /// Mutates the content of an extension that is read, within lengths that fit.
    private static func mutateExtension(of parts: HelloParts, _ random: inout SplitMix64) -> [UInt8] {
        var parts = parts
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            parts[0] = Fuzzing.mutate(parts[0], &random)
        case 1:
            let name = Fuzzing.mutate(Array("a.example.com".utf8), &random)
            parts[0] = prefixed16([0] + prefixed16(name))
        case 2:
            parts[16] = Fuzzing.mutate(parts[16], &random)
        default:
            parts[43] = Fuzzing.mutate(parts[43], &random)
        }
        return parts.record
    }

    /// The syntax of a host name in lower case, apart from the reader's own check.
    private static func isHostName(_ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        let letters = Set("abcdefghijklmnopqrstuvwxyz0123456789-_")
        return name.utf8.count <= 253
            && labels.allSatisfy { (1...63).contains($0.utf8.count) && letters.isSuperset(of: $0) }
            && labels.last.map { !$0.allSatisfy(\.isNumber) } == true
    }
}
