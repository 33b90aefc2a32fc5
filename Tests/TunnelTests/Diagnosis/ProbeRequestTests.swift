import Testing

@testable import TunnelServer

@Suite("Requests of probes")
struct ProbeRequestTests {
    @Test("A request is a word, with an argument for those that have one")
    func requests() {
        let rows: [(String, ProbeRequest?)] = [
            ("facts", .facts([])),
            ("facts 8022", .facts([.port(8_022)])),
            ("facts 8022,5353/udp", .facts([.port(8_022), .udp(5_353)])),
            ("echo", .echo),
            ("sink", .sink),
            ("source", .source),
            ("quiet 1", .quiet(seconds: 1)),
            ("quiet 3720", .quiet(seconds: 3_720)),
            ("", nil), (" ", nil), ("Echo", nil), ("echo ", nil), ("echo 1", nil), ("facts ", nil),
            ("facts 0", nil), ("facts 8022,", nil), ("facts 65536", nil), ("facts 1/tcp", nil), ("facts /udp", nil),
            ("quiet", nil), ("quiet 0", nil), ("quiet -1", nil), ("quiet 3721", nil), ("quiet 1 2", nil),
            ("quiet 99999999999999999999", nil), ("db.internal:5432", nil),
        ]
        for (text, request) in rows { #expect(ProbeRequest(text) == request, "\(text)") }
    }

    @Test("At most 32 ports are asked about")
    func ports() {
        let most = (1...32).map(String.init).joined(separator: ",")
        #expect(ProbeRequest("facts \(most)") != nil)
        #expect(ProbeRequest("facts \(most),33") == nil)
    }
}
