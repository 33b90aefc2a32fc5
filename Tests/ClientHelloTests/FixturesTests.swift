import ClientHello
import NIOCore
import TestSupport
import Testing

@Suite("The ClientHellos of real programs")
struct FixturesTests {
    private static let web = ["h2", "http/1.1"]
    private static let name = "a.example.com"

    /// Each file of Fixtures/clienthello with what it asks for.
    static let hellos: [String: ClientHello] = [
        "openssl-name": ClientHello(serverName: name, offersTLS13: true),
        "openssl-no-name": ClientHello(offersTLS13: true),
        "openssl-alpn": ClientHello(serverName: name, applicationProtocols: web, offersTLS13: true),
        "openssl-acme": ClientHello(serverName: name, applicationProtocols: ["acme-tls/1"], offersTLS13: true),
        "openssl-tls12": ClientHello(serverName: name),
        "openssl-in-records-of-1": ClientHello(serverName: name),
        "openssl-in-records-of-100": ClientHello(serverName: name, applicationProtocols: web, offersTLS13: true),
        "curl": ClientHello(serverName: name, applicationProtocols: web, offersTLS13: true),
        "curl-address": ClientHello(applicationProtocols: web, offersTLS13: true),
        "chromium": chromium,
        "chromium-in-records-of-512": chromium,
        "ech-outer": ClientHello(
            serverName: "public.example.net",
            offersTLS13: true,
            hasEncryptedClientHello: true
        ),
    ]

    private static let chromium = ClientHello(
        serverName: name,
        applicationProtocols: web,
        offersTLS13: true,
        hasEncryptedClientHello: true
    )

    @Test("A hello is read whole, byte by byte and at every split, and only with its last byte", arguments: hellos)
    func read(_ name: String, _ hello: ClientHello) throws {
        let bytes = try fixture(name)
        everySplit(of: bytes) { pieces, how in
            #expect(ClientHelloTests.read(pieces) == .hello(hello), "\(name) \(how)")
        }
        #expect(ClientHelloTests.read([Array(bytes.dropLast())]) == .more)
    }

    @Test("Each file has its row")
    func rows() throws {
        let names = try Fuzzing.corpus("clienthello").map { String($0.name.dropLast(".hex".count)) }
        #expect(Set(names) == Set(Self.hellos.keys))
    }

    @Test("Chromium's hello has a post-quantum key share, and so does not fit into one segment")
    func postQuantum() throws {
        let bytes = try fixture("chromium")
        #expect(bytes.count > 1_500)
        let keyShare: UInt16 = 51
        let x25519MLKEM768: [UInt8] = [0x11, 0xEC]
        let share = HelloParts(bytes)[keyShare]
        #expect(share.indices.contains { share[$0...].starts(with: x25519MLKEM768) })
    }

    @Test("A hello gives the same in records of every size", arguments: [1, 2, 3, 4, 5, 7, 64, 1_024])
    func recordSizes(_ size: Int) throws {
        for name in ["openssl-alpn", "chromium", "ech-outer"] {
            let bytes = wire(Array(try fixture(name).dropFirst(5)), size: size)
            let expected = try #require(Self.hellos[name])
            #expect(ClientHelloTests.read([bytes]) == .hello(expected))
            #expect(ClientHelloTests.read(bytes.map { [$0] }) == .hello(expected))
        }
    }
}
