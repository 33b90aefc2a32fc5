import ProxyConnect
import Testing

@Suite("Proxy URLs")
struct ProxyURLTests {
    @Test(
        "R17 a URL is parsed, with its scheme's default port",
        arguments: [
            ("http://proxy.corp:3128", "http://proxy.corp:3128"), ("http://proxy.corp:3128/", "http://proxy.corp:3128"),
            ("proxy.corp:3128", "http://proxy.corp:3128"), ("proxy", "http://proxy:80"),
            ("HTTP://Proxy", "http://Proxy:80"),
            ("socks://proxy/", "socks5://proxy:1080"), ("SOCKS://10.0.0.1:9", "socks5://10.0.0.1:9"),
            ("https://proxy", "https://proxy:443"), ("socks5://proxy", "socks5://proxy:1080"),
            ("socks5h://10.0.0.1:1081", "socks5h://10.0.0.1:1081"), ("http://[2001:DB8::1]", "http://[2001:db8::1]:80"),
            ("[::1]:3128", "http://[::1]:3128"), ("http://proxy:65535", "http://proxy:65535"),
            ("http://a_b-c.example.:1", "http://a_b-c.example.:1"),
            ("http://@proxy", "http://proxy:80"),
        ]
    )
    func reads(_ text: String, _ canonical: String) throws {
        let url = try ProxyURL(text)
        #expect(url.description == canonical)
        #expect(url.redacted == canonical)
        #expect(url.credentials == nil)
    }

    @Test(
        "R16 R17 malformed URLs are refused",
        arguments: [
            ("", .empty), ("ftp://proxy", .unknownScheme), ("://proxy", .unknownScheme),
            ("socks4://proxy", .unknownScheme),
            ("http://", .malformedHost), ("http://:3128", .malformedHost), (":3128", .malformedHost),
            ("http://proxy:", .malformedPort), ("http://proxy:0", .malformedPort),
            ("http://proxy:65536", .malformedPort),
            ("http://proxy:+1", .malformedPort), ("http://proxy:080", .malformedPort),
            ("http://proxy:a", .malformedPort),
            ("http://proxy:99999999999999999999", .malformedPort), ("http://::1", .malformedPort),
            ("http:proxy", .malformedPort),
            ("http://[::1", .malformedHost), ("http://[::1]x", .malformedPort), ("http://[10.0.0.1]", .malformedHost),
            ("http://[fe80::1%25eth0]", .malformedHost), ("http://127.1", .malformedHost),
            ("http://0x7f.1", .malformedHost),
            ("http://1.2.3.4.5", .malformedHost), ("http://a..b", .malformedHost), ("http://pr%6Fxy", .malformedHost),
            ("http://pr\u{F6}xy", .malformedHost), ("http://a,b", .malformedHost),
            ("http://proxy/path", .unexpectedPath),
            ("http://proxy//", .unexpectedPath), ("http://proxy?q", .unexpectedPath),
            ("http://proxy#f", .unexpectedPath),
            ("http://proxy/?", .unexpectedPath), ("http://u:p/w@proxy", .unexpectedPath),
            ("http://u:p@w@proxy", .malformedUserinfo),
            ("http://u:%4@proxy", .malformedUserinfo), ("http://u:%zz@proxy", .malformedUserinfo),
            ("http://u:%ff@proxy", .malformedUserinfo),
            ("http://u%+41@proxy", .malformedUserinfo), (" http://proxy", .controlCharacter),
            ("http://proxy\n", .controlCharacter), ("http://pro\rxy", .controlCharacter),
            ("http://proxy\r\n", .controlCharacter), ("http://u:a%0d%0aX: y@proxy", .controlCharacter),
            ("http://u:a%0d%0aX:%20y@proxy", .controlCharacter), ("http://u%00:p@proxy", .controlCharacter),
            ("http://u:%C2%85@proxy", .controlCharacter),
        ] as [(String, ProxyURLError)]
    )
    func refuses(_ text: String, _ error: ProxyURLError) {
        #expect(throws: error) { try ProxyURL(text) }
    }

    @Test(
        "R17 userinfo is split at its first raw colon, then decoded",
        arguments: [
            ("http://user:secret@proxy", "user", "secret"), ("http://user@proxy", "user", ""),
            ("http://:secret@proxy", "", "secret"),
            ("http://a%3Ab:c%40d:%2F%25@proxy", "a:b", "c@d:/%"),
            ("http://CORP%5Cuser:p%20w@proxy", "CORP\\user", "p w"),
            ("http://us\u{E9}r:p%C3%A4@proxy", "us\u{E9}r", "p\u{E4}"),
            ("http://u:!$&'()*+,;=~@proxy", "u", "!$&'()*+,;=~"),
        ]
    )
    func userinfo(_ text: String, _ user: String, _ password: String) throws {
        let credentials = try #require(ProxyURL(text).credentials)
        #expect(credentials.user == user)
        #expect(credentials.password == password)
    }

    @Test("No description shows the password")
    func redaction() throws {
        let url = try ProxyURL("http://user:hunter2@proxy:3128")
        #expect(url.description == "http://user:***@proxy:3128")
        #expect(url.redacted == "http://proxy:3128")
        var dumped = ""
        dump(url, to: &dumped)
        dump(ProxyChoice.proxy(url), to: &dumped)
        for text in [
            "\(url)", String(reflecting: url), "\(ProxyChoice.proxy(url))", String(reflecting: [url.credentials]),
            dumped,
        ] {
            #expect(!text.contains("hunter2"))
        }
    }

    @Test("`none` means a direct connection")
    func choice() throws {
        #expect(try ProxyChoice(argument: "none") == .direct)
        #expect(try ProxyChoice(argument: "proxy:1") == .proxy(ProxyURL("http://proxy:1")))
        #expect(throws: ProxyURLError.empty) { try ProxyChoice(argument: "") }
    }

    @Test("Literal credentials are split at the first colon and not decoded")
    func literal() throws {
        #expect(try ProxyCredentials(literal: "u:a:b%40") == ProxyCredentials(user: "u", password: "a:b%40"))
        #expect(try ProxyCredentials(literal: "u") == ProxyCredentials(user: "u", password: ""))
        #expect(throws: CredentialsError.controlCharacter) { try ProxyCredentials(literal: "u:a\r\nb") }
    }
}
