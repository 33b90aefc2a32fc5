import ProxyConnect
import Testing

@Suite("Proxy scripts: their locations and answers")
struct ProxyScriptTests {
    @Test(
        "A location is parsed, and printed in one form",
        arguments: [
            (
                "pac+http://wpad/wpad.dat", .http(host: "wpad", port: 80, target: "/wpad.dat"),
                "pac+http://wpad/wpad.dat"
            ),
            ("PAC+HTTP://wpad:80/a", .http(host: "wpad", port: 80, target: "/a"), "pac+http://wpad/a"),
            ("pac+http://wpad", .http(host: "wpad", port: 80, target: "/"), "pac+http://wpad/"),
            (
                "pac+http://wpad:8080?site=1", .http(host: "wpad", port: 8080, target: "/?site=1"),
                "pac+http://wpad:8080/?site=1"
            ),
            (
                "pac+http://[2001:DB8::1]:81/p%20a", .http(host: "2001:db8::1", port: 81, target: "/p%20a"),
                "pac+http://[2001:db8::1]:81/p%20a"
            ),
            ("pac+file:///etc/proxy.pac", .file(path: "/etc/proxy.pac"), "pac+file:///etc/proxy.pac"),
            ("pac+file:///a%20b%3F%25", .file(path: "/a b?%"), "pac+file:///a b?%"),
            ("pac+file:///%1B[31m", .file(path: "/\u{1B}[31m"), "pac+file:///\\u{1B}[31m"),
        ] as [(String, ProxyScriptLocation.Source, String)]
    )
    func locations(_ text: String, _ source: ProxyScriptLocation.Source, _ shown: String) throws {
        let location = try ProxyScriptLocation(text)
        #expect(location.source == source)
        #expect(location.description == shown)
    }

    @Test(
        "A malformed location is refused with its reason",
        arguments: [
            ("", .unknownScheme), ("pac+", .unknownScheme), ("pac+http", .unknownScheme),
            ("http://a/p.pac", .unknownScheme),
            ("pac+http:/a", .unknownScheme), ("pac+ftp://a/p", .unknownScheme), ("pac+data:x", .unknownScheme),
            ("pac+https://a/p.pac", .encrypted), ("pac+http://a b/", .controlCharacter),
            ("pac+http://a/\r\nX: y", .controlCharacter),
            ("pac+http:///p", .malformedHost), ("pac+http://a:0/p", .malformedHost),
            ("pac+http://a:65536/", .malformedHost),
            ("pac+http://127.1/p", .malformedHost), ("pac+http://::1/p", .malformedHost),
            ("pac+http://http://a", .malformedHost),
            ("pac+http://u:p@a/p", .credentials), ("pac+http://@a/p", .credentials),
            ("pac+http://a/p#f", .malformedPath),
            ("pac+http://a/p\u{E4}", .malformedPath), ("pac+file://p.pac", .relativePath),
            ("pac+file://", .relativePath),
            ("pac+file://localhost/p", .relativePath), ("pac+file:/p", .unknownScheme),
            ("pac+file:///", .malformedPath),
            ("pac+file:///a%00b", .malformedPath), ("pac+file:///a%zz", .malformedPath),
            ("pac+file:///a?b", .malformedPath),
        ] as [(String, ProxyScriptLocationError)]
    )
    func refusedLocations(_ text: String, _ error: ProxyScriptLocationError) {
        #expect(throws: error) { try ProxyScriptLocation(text) }
    }

    @Test(
        "Only text that begins with pac+ names a script",
        arguments: [("pac+x", true), ("PAC+", true), ("pac", false), ("http://pac+", false)]
    )
    func meant(_ text: String, _ isMeant: Bool) {
        #expect(ProxyScriptLocation.isMeant(by: text) == isMeant)
    }

    @Test(
        "The entries of an answer keep their order",
        arguments: [
            ("DIRECT", ["none"], 0), ("", ["none"], 0), (" ; ;", ["none"], 0), ("direct", ["none"], 0),
            ("PROXY a:8080; DIRECT", ["http://a:8080", "none"], 0),
            (
                "PROXY a:8080;HTTPS b:443;SOCKS c:1080;SOCKS5 d;HTTP f",
                ["http://a:8080", "https://b:443", "socks5://c:1080", "socks5://d:1080", "http://f:80"], 0
            ),
            ("  proxy\ta:1\r\n;\tSocks5  [2001:DB8::1]:2 ", ["http://a:1", "socks5://[2001:db8::1]:2"], 0),
            ("PROXY a:1; PROXY a:1; DIRECT; DIRECT", ["http://a:1", "none"], 0),
            ("SOCKS4 e:1080; PROXY a:1", ["http://a:1"], 1),
            ("QUIC a:1; PROXY", ["none"], 2), ("undefined", ["none"], 1), ("42", ["none"], 1), ("null", ["none"], 1),
        ]
    )
    func answers(_ text: String, _ choices: [String], _ passedOver: Int) {
        let answer = ProxyScriptAnswer(text)
        #expect(answer.choices.map(\.description) == choices)
        #expect(answer.passedOver == passedOver)
    }

    @Test(
        "Hostile entries in an answer are skipped, and the others count",
        arguments: [
            "PROXY a:0", "PROXY a:65536", "PROXY a:99999999999999999999", "PROXY :80", "PROXY a:", "PROXY a b",
            "DIRECT x",
            "PROXY user:secret@a:1", "PROXY http://a:1", "PROXY a:1/", "PROXY a:1/x", "PROXY a:1?x", "PROXY a:1#x",
            "PROXY 127.1:80", "PROXY 0x7f.1:80", "PROXY ::1:80", "PROXY [::1", "PROXY a\r\nX:1", "PROXY a\u{0}:1",
            "PROXY \u{202E}a:1", "PROXY a,b:1", "PROXYa:1", "PROXY\u{A0}a:1", "PROXY -\u{FFFD}:1", "DIRECT\u{0}",
        ]
    )
    func hostile(_ entry: String) {
        let answer = ProxyScriptAnswer("\(entry); PROXY good:3128")
        #expect(answer.choices.map(\.description) == ["http://good:3128"])
        #expect(answer.passedOver == 1)
    }

    @Test("Sixteen entries are kept, and later ones are ignored")
    func bounded() {
        let answer = ProxyScriptAnswer((1...10_000).map { "PROXY p\($0):1" }.joined(separator: ";"))
        #expect(answer.choices.count == ProxyScriptAnswer.limit)
        #expect(answer.choices.last?.description == "http://p16:1")
        let nonsense = ProxyScriptAnswer(String(repeating: "x;", count: 100_000))
        #expect(nonsense.choices == [.direct])
    }
}
