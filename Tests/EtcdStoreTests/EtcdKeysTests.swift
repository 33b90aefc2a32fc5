import Cluster
import Testing

@testable import EtcdStore

/// Keys of the store and URLs of its members.
@Suite("Keys and URLs of etcd")
struct EtcdKeysTests {
    private let keys = EtcdKeys(prefix: "culvert/")

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("ports and names have folders of their own, and each key leads back")
    func keysOfEntries() {
        let claims: [(ClaimPlace, String)] = [
            (.tcp(80), "culvert/ports/tcp:80/"), (.udp(53), "culvert/ports/udp:53/"),
            (.name("app.example.com"), "culvert/names/name:app.example.com/"),
        ]
        for (place, start) in claims {
            let key = TestClient("a").claim(place, part: "http:/a").key
            #expect(text(keys.claim(key)) == "\(start)c-61/http:%2fa/\(key.member)")
            #expect(keys.entry(of: keys.claim(key)) == .claim(key))
        }
        #expect(text(keys.server(ServerID(7))) == "culvert/servers/00000007")
        #expect(keys.entry(of: keys.server(ServerID(7))) == .server(ServerID(7)))
    }

    @Test(
        "a key of another form is no entry",
        arguments: [
            "", "culvert/", "culvert/servers/", "culvert/servers/7", "culvert/servers/0000000G", "culvert/servers0",
            "culvert/ports0", "culvert/ports/", "culvert/ports/tcp:80", "other/servers/00000007",
            "culvert/names/tcp:80/c-61//00000000000000000000000000000000",
            "culvert/ports/name:a/c-61//00000000000000000000000000000000",
            "culvert/ports/tcp:080/c-61//00000000000000000000000000000000",
            "culvert/ports/tcp:80/c-61/%GG/00000000000000000000000000000000",
            "culvert/ports/tcp:80/c-61/%/00000000000000000000000000000000",
            "culvert/ports/tcp:80/c-/x/00000000000000000000000000000000", "culvert/ports/tcp:80/c-61//00",
        ]
    )
    func otherKeys(text: String) {
        #expect(keys.entry(of: Array(text.utf8)) == nil)
        #expect(keys.entry(of: Array(text.utf8) + [0xFF]) == nil)
    }

    @Test("a probe is outside its scope's entries, and inside the range that is watched")
    func probes() {
        for scope: StoreScope in [.servers, .ports, .place(.name("app")), .place(.tcp(80))] {
            let (range, watched, probe) = (keys.range(of: scope), keys.watchedRange(of: scope), keys.probe(of: scope))
            #expect(probe == range.end)
            #expect(probe.lexicographicallyPrecedes(watched.end))
            #expect(keys.entry(of: probe) == nil)
        }
        // No range of another name has it.
        let probe = keys.probe(of: .place(.name("app")))
        for other in ["app0", "app-", "ap", "app00", "appz"] {
            let range = keys.range(of: .name(other))
            let isInside = !probe.lexicographicallyPrecedes(range.start) && probe.lexicographicallyPrecedes(range.end)
            #expect(!isInside, "\(other)")
        }
    }

    @Test("the ranges of a claim's conditions leave out its owner, or have its part alone")
    func conditions() {
        let key = TestClient("a").claim(.tcp(80), part: "p").key
        let others = keys.otherOwners(than: key)
        #expect(others.map { text($0.start) } == ["culvert/ports/tcp:80/", "culvert/ports/tcp:80/c-610"])
        #expect(others.map { text($0.end) } == ["culvert/ports/tcp:80/c-61/", "culvert/ports/tcp:800"])
        let part = keys.part(of: key)
        #expect(text(part.start) == "culvert/ports/tcp:80/c-61/p/")
        #expect(text(part.end) == "culvert/ports/tcp:80/c-61/p0")
    }

    @Test("a member's URL has a scheme and a host, and the usual port if it has none")
    func urls() throws {
        for (text, description) in [
            ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
            ("https://etcd.example.com", "https://etcd.example.com:2379"),
            ("HTTPS://Etcd.example.com:1/", "https://Etcd.example.com:1"), ("http://[::1]:80", "http://[::1]:80"),
        ] {
            #expect(try EtcdEndpoint(text).description == description)
        }
        for text in [
            "", "etcd", "127.0.0.1:2379", "ftp://a", "http:", "http://", "http:///", "http://a:0", "http://a:65536",
            "http://user@a", "http://a/path", "http://a?b", "http://a#b", "http://a b", "http://a\r\nX: y",
            "unix:///run/etcd", "https//a", "http://a:", "http://[::1", "http://a//",
        ] {
            #expect(throws: EtcdConfigurationError.self, "\(text)") { try EtcdEndpoint(text) }
        }
    }

    @Test("a store without an endpoint is refused")
    func noEndpoint() {
        #expect(throws: EtcdConfigurationError.self) {
            try EtcdClaimStore(EtcdConfiguration(endpoints: []), logger: .silent)
        }
    }
}
