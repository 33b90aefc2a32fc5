import Testing

@testable import culvert

@Suite("Secrets in a report")
struct RedactionTests {
    @Test(
        "Known secrets, passwords in URLs and the keys of verifiers go; the rest stays",
        arguments: [
            ("nothing secret", "nothing secret"),
            ("password hunter2-long here", "password *** here"),
            ("http://ann:pa:ss@proxy:3128/x", "http://ann:***@proxy:3128/x"),
            ("http://ann@proxy:3128 http://proxy:1/a@b:c", "http://ann@proxy:3128 http://proxy:1/a@b:c"),
            ("a wss://u:p@h, b http://v:q@i", "a wss://u:***@h, b http://v:***@i"),
            ("culvert1:0512:1785:711f end", "culvert1:*** end"),
            ("two culvert1:aa:bb:cc culvert1:dd:ee:ff", "two culvert1:*** culvert1:***"),
            ("", ""), ("://", "://"),
            ("Proxy-Authorization: Basic dXNlcjpwYXNz end", "Proxy-Authorization: Basic *** end"),
            ("it offers Basic, NTLM; Basic was used", "it offers Basic, NTLM; Basic was used"),
            ("wss://h/tunnel?key=abc&x=1 next", "wss://h/tunnel?*** next"),
        ]
    )
    func redacted(_ text: String, _ expected: String) {
        #expect(Redaction(["hunter2-long", "short"]).apply(to: text) == expected)
    }

    @Test("A short text is no secret, and a longer one is removed before its part")
    func length() {
        #expect(Redaction(["port"]).apply(to: "port 8022") == "port 8022")
        #expect(Redaction(["abcdef", "abcdefgh"]).apply(to: "abcdefgh abcdef") == "*** ***")
    }
}
