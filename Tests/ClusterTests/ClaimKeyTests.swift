import Testing

@testable import Cluster

@Suite("Keys of claims")
struct ClaimKeyTests {
    @Test("A text that is not exactly what a key prints is no key")
    func parses() {}
}
