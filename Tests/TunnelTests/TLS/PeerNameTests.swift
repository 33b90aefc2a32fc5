import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// The comparison of names and addresses in certificates (RFC 9525).
@Suite("The name in a certificate")
struct PeerNameTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let dialled: String
        var dns: [String] = []
        var addresses: [[UInt8]] = []
        let isNamed: Bool

        var testDescription: String { "\(dialled) and \(dns) \(addresses)" }
    }

    private static let v6: [UInt8] = [0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [1]
    private static let mapped: [UInt8] = Array(repeating: 0, count: 10) + [255, 255, 127, 0, 0, 1]

    static let rows = [
        Row(dialled: "tunnel.example", dns: ["tunnel.example"], isNamed: true),
        Row(dialled: "TUNNEL.example", dns: ["tunnel.EXAMPLE"], isNamed: true),
        Row(dialled: "tunnel.example.", dns: ["tunnel.example"], isNamed: true),
        Row(dialled: "tunnel.example", dns: ["tunnel.example."], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["other.example", "tunnel.example"], isNamed: true),
        Row(dialled: "tunnel.example", dns: [], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["example"], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["tunnel.example.com"], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["evil.tunnel.example"], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["tunnel.example\0.evil.example"], isNamed: false),
        Row(dialled: "localhost", dns: ["localhost"], isNamed: true),
        Row(dialled: "my_host.lab", dns: ["my_host.lab"], isNamed: true),
        // A-labels, and names that are not ASCII.
        Row(dialled: "xn--bcher-kva.example", dns: ["XN--BCHER-KVA.example"], isNamed: true),
        Row(dialled: "xn--bcher-kva.example", dns: ["bücher.example"], isNamed: false),
        Row(dialled: "k.example", dns: ["\u{212A}.example"], isNamed: false),
        // Wildcards.
        Row(dialled: "a.tunnel.example", dns: ["*.tunnel.example"], isNamed: true),
        Row(dialled: "a.tunnel.example.", dns: ["*.TUNNEL.example"], isNamed: true),
        Row(dialled: "xn--bcher-kva.tunnel.example", dns: ["*.tunnel.example"], isNamed: true),
        Row(dialled: "tunnel.example", dns: ["*.tunnel.example"], isNamed: false),
        Row(dialled: "a.b.tunnel.example", dns: ["*.tunnel.example"], isNamed: false),
        Row(dialled: ".tunnel.example", dns: ["*.tunnel.example"], isNamed: false),
        Row(dialled: "a.tunnel.example", dns: ["a*.tunnel.example"], isNamed: false),
        Row(dialled: "a.tunnel.example", dns: ["*a.tunnel.example"], isNamed: false),
        Row(dialled: "a.tunnel.example", dns: ["a.*.example"], isNamed: false),
        Row(dialled: "a.tunnel.example", dns: ["*.*.example"], isNamed: false),
        Row(dialled: "a.tunnel.example", dns: ["*"], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["*.example"], isNamed: false),
        Row(dialled: "localhost", dns: ["*"], isNamed: false),
        Row(dialled: "a.localhost", dns: ["*.localhost"], isNamed: false),
        Row(dialled: "*.tunnel.example", dns: ["*.tunnel.example"], isNamed: false),
        // Addresses match only iPAddress entries, and names never do.
        Row(dialled: "192.0.2.1", addresses: [[192, 0, 2, 1]], isNamed: true),
        Row(dialled: "192.0.2.1", addresses: [[192, 0, 2, 2], [192, 0, 2, 1]], isNamed: true),
        Row(dialled: "192.0.2.1", dns: ["192.0.2.1"], isNamed: false),
        Row(dialled: "192.0.2.1", dns: ["*.0.2.1"], isNamed: false),
        Row(dialled: "192.0.2.1", addresses: [[192, 0, 2, 1, 255, 255, 255, 255]], isNamed: false),
        Row(dialled: "192.0.2.1", addresses: [[192, 0, 2]], isNamed: false),
        Row(dialled: "2001:db8::1", addresses: [v6], isNamed: true),
        Row(dialled: "2001:DB8:0::1", addresses: [v6], isNamed: true),
        Row(dialled: "2001:db8::2", addresses: [v6], isNamed: false),
        Row(dialled: "127.0.0.1", addresses: [mapped], isNamed: false),
        Row(dialled: "tunnel.example", dns: ["evil.example"], addresses: [[127, 0, 0, 1]], isNamed: false),
        Row(dialled: "localhost", addresses: [[127, 0, 0, 1]], isNamed: false),
    ]

    @Test("is compared as a whole and by kind, and a wildcard matches one label", arguments: rows)
    func named(row: Row) {
        #expect(PeerName(row.dialled).isNamed(byNames: row.dns, addresses: row.addresses) == row.isNamed)
    }

    @Test("is sent as SNI without a trailing dot, and an address is not sent")
    func indication() {
        #expect(PeerName("Tunnel.Example.").serverNameIndication == "tunnel.example")
        #expect(PeerName("192.0.2.1").serverNameIndication == nil)
        #expect(PeerName("2001:db8::1").serverNameIndication == nil)
    }
}
