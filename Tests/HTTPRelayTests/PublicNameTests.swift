import HTTPRelay
import Testing

@Suite("Public names and patterns")
struct PublicNameTests {
    private static let label63 = String(repeating: "x", count: 63)
    private static let name253 = [label63, label63, label63, String(repeating: "y", count: 61)].joined(separator: ".")

    @Test(
        "A name is lower-cased and has no dot at its end",
        arguments: [
            ("a.example", "a.example"), ("A.Example", "a.example"), ("a.example.", "a.example"), ("app", "app"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("a_b.example", "a_b.example"), ("1.2.3.example", "1.2.3.example"), (name253, name253),
            (name253 + ".", name253),
            (label63, label63),
        ]
    )
    func names(text: String, expected: String) {
        #expect(PublicName(text)?.description == expected)
    }

    @Test(
        "Addresses and malformed names are no names",
        arguments: [
            "", ".", "..", "a..b", ".a", "a..", "192.0.2.1", "192.0.2.1.", "127.1", "0x7f.1", "a.1", "::1", "[::1]",
            "2001:db8::1", "a b", "a/b", "a@b", "a:80", "a,b", "*.a", "*", "bücher.example", "\u{212A}itchen.example",
            "a\u{3002}b", "a\0", "a\r\n", "%61.example", name253 + "z", label63 + "z", "a.example\u{301}",
        ]
    )
    func noNames(text: String) {
        #expect(PublicName(text) == nil)
    }

    @Test(
        "An authority may have a port",
        arguments: [
            ("a.example", "a.example"), ("A.example.:8080", "a.example"), ("a.example:", nil), ("a.example:x", nil),
            ("a.example:123456", nil), ("a.example:80:80", nil), ("192.0.2.1:80", nil), ("[::1]:80", nil),
            ("[::1]", nil),
            ("::1", nil), (":80", nil), ("", nil), ("a.example:٨", nil),
        ] as [(String, String?)]
    )
    func authorities(text: String, expected: String?) {
        #expect(PublicName(authority: text)?.description == expected)
    }

    @Test("A short name stands below a domain, unless both are too long")
    func below() throws {
        let (app, domain) = (try #require(PublicName("app")), try #require(PublicName("t.example")))
        #expect(app.isShort && !domain.isShort)
        #expect(app.below(domain)?.description == "app.t.example")
        let long = try #require(PublicName(Self.name253))
        #expect(app.below(long) == nil)
    }

    @Test(
        "A pattern covers one name, all names below one, or all",
        arguments: [
            ("a.example", "a.example", true), ("A.example.", "a.example", true), ("a.example", "b.a.example", false),
            ("*.example", "a.example", true), ("*.example", "b.a.example", true), ("*.example", "example", false),
            ("*.example", "aexample", false), ("*.a.example", "b.example", false),
            ("*.A.Example.", "b.a.example", true),
            ("*", "a.example", true), ("*", "app", true), ("*.al.example", "xal.example", false),
        ]
    )
    func patterns(pattern: String, name: String, isCovered: Bool) throws {
        let pattern = try #require(NamePattern(pattern))
        #expect(pattern.covers(try #require(PublicName(name))) == isCovered)
        #expect(NamePattern(pattern.description) == pattern)
    }

    @Test(
        "Other patterns are malformed",
        arguments: [
            "", "*.", "**", "*a.example", "a.*.example", "*.*.example", "a.*", "192.0.2.1", "*.192.0.2.1", "*.[::1]",
            "/a", "a b",
        ]
    )
    func malformed(text: String) {
        #expect(NamePattern(text) == nil)
    }

    @Test("Many patterns cover what one of them covers")
    func patterns() {
        let texts = ["blog.example.com", "*.al.example.com", "*.net", "a.b"]
        let patterns = texts.compactMap { NamePattern($0) }
        let set = NamePatterns(patterns)
        for text in [
            "blog.example.com", "x.blog.example.com", "al.example.com", "x.al.example.com", "x.y.al.example.com", "net",
            "a.net", "xal.example.com", "example.com", "a.b", "c.a.b", "al.example.com.net", "b",
        ] {
            let name = PublicName(text)
            #expect(name.map(set.covers) == name.map { name in patterns.contains { $0.covers(name) } }, "\(text)")
        }
        #expect(PublicName("a.b.c").map(NamePatterns([NamePattern("*")].compactMap { $0 }).covers) == true)
        #expect(PublicName("a.b.c").map(NamePatterns([NamePattern]()).covers) == false)
    }
}
