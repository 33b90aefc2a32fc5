import HTTP1
import Testing

@testable import ACME

@Suite("Texts of a CA") struct TextTests {
    @Test(
        "a CA's URL is https, or http to loopback",
        arguments: [
            ("https://ca.example/dir", "ca.example:443", "/dir", "ca.example"),
            ("https://ca.example:14000/dir?a=1", "ca.example:14000", "/dir?a=1", "ca.example:14000"),
            ("https://ca.example", "ca.example:443", "/", "ca.example"),
            ("HTTPS://ca.example?x", "ca.example:443", "/?x", "ca.example"),
            ("http://127.0.0.1:80/d", "127.0.0.1:80", "/d", "127.0.0.1"),
            ("https://[::1]/d", "[::1]:443", "/d", "[::1]"), ("http://[::1]:8080/d", "[::1]:8080", "/d", "[::1]:8080"),
        ]
    )
    func goodURLs(text: String, place: String, target: String, authority: String) throws {
        let url = try ACMEURL(text)
        #expect((url.place.description, url.target, url.authority) == (place, target, authority))
        #expect(url.description == text)
    }

    @Test(
        "other URLs are refused with the reason",
        arguments: [
            ("", "is not an https URL"), ("ca.example", "is not an https URL"),
            ("ftp://ca.example/", "not an https URL"),
            ("http://ca.example/", "loopback addresses only"), ("http://localhost/", "loopback addresses only"),
            ("http://128.0.0.1/", "loopback addresses only"), ("https://user@ca.example/", "no valid host"),
            ("https:///x", "no valid host"), ("https://ca.example:0/", "no valid host"),
            ("https://ca.example:65536/", "no valid host"), ("https://ca.example/a b", "may not have"),
            ("https://ca.example/a#b", "may not have"), ("https://ca.example/\r\nX: y", "may not have"),
            ("https://ca.example/é", "may not have"), ("https://127.1/", "no valid host"),
            ("https://ca.example/" + String(repeating: "a", count: ACMEURL.longest - 18), "more than 2048 bytes"),
        ]
    )
    func badURLs(text: String, reason: String) {
        let problem = #expect(throws: ACMEURL.Problem.self) { try ACMEURL(text) }
        #expect(problem?.description.contains(reason) == true, "\(problem?.description ?? "")")
    }

    @Test("the longest URL is accepted")
    func longestURL() throws {
        let text = "https://ca.example/" + String(repeating: "a", count: ACMEURL.longest - 19)
        #expect(text.utf8.count == ACMEURL.longest)
        #expect(try ACMEURL(text).description == text)
    }

    @Test(
        "a certificate is for a host name in lower case: not for an address, a wildcard or a name that no CA accepts",
        arguments: [
            ("App.Example.COM", "app.example.com"), ("app.example.com.", "app.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("localhost", "localhost"),
            ("1a.example", "1a.example"),
            ("", nil), (".", nil), ("a..b", nil), ("*.example.com", nil), ("127.0.0.1", nil), ("::1", nil),
            ("[::1]", nil), ("a_b.example", nil), ("-a.example", nil), ("a-.example", nil), ("a/b", nil),
            ("../../etc/passwd", nil), ("a.example\n", nil), ("bücher.example", nil), ("a.example..", nil),
            (String(repeating: "a", count: 64) + ".example", nil),
        ] as [(String, String?)]
    )
    func names(text: String, name: String?) { #expect(CertificateName(text)?.text == name) }

    @Test(
        "Retry-After is seconds or a date, and a date that is past is no time",
        arguments: [
            ("0", 0), ("120", 120), ("999999999", 999_999_999), ("Sun, 06 Nov 1994 08:49:37 GMT", 100),
            ("Sun, 06 Nov 1994 08:47:00 GMT", 0), ("Tue, 29 Feb 2028 00:00:00 GMT", 999_999_999), ("-1", nil),
            ("", nil),
            ("1.5", nil), ("1000000000", nil), ("Sunday, 06-Nov-94 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 08:49:37 UTC", nil), ("Sun, 06 Xxx 1994 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 24:00:00 GMT", nil), ("Sun, 00 Nov 1994 08:49:37 GMT", nil),
        ] as [(String, Int?)]
    )
    func retryAfter(text: String, seconds: Int?) {
        #expect(RetryAfter.seconds(text, now: 784_111_777 - 100) == seconds)
    }

    @Test(
        "times are those of RFC 3339",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2025-01-02T04:00:00Z", 1_735_790_400), ("2000-02-29T12:00:00z", 951_825_600),
            ("2025-01-02T04:00:00.123456789Z", 1_735_790_400), ("2025-01-02T05:30:00+01:30", 1_735_790_400),
            ("2025-01-01T23:00:00-05:00", 1_735_790_400), ("2025-01-02t04:00:00Z", 1_735_790_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799), ("2025-01-02 04:00:00Z", nil), ("2025-01-02T04:00:00", nil),
            ("2025-13-02T04:00:00Z", nil), ("2025-01-32T04:00:00Z", nil), ("2025-01-02T24:00:00Z", nil),
            ("2025-01-02T04:00:00.Z", nil), ("2025-01-02T04:00:00+1:00", nil), ("2025-01-02T04:00:00Zx", nil),
            ("+025-01-02T04:00:00Z", nil), ("", nil),
        ] as [(String, Int64?)]
    )
    func timestamps(text: String, seconds: Int64?) { #expect(CivilTime.timestamp(text) == seconds) }

    @Test("the renewal id of RFC 9773, 4.1, is the RFC's")
    func renewalIdentifier() {
        let issuer: [UInt8] = [
            0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01,
            0xC8, 0xD4,
        ]
        let serial: [UInt8] = [0x87, 0x65, 0x43, 0x21]
        let identifier = IssuedCertificate.renewalIdentifier(issuer: issuer, serial: serial)
        #expect(identifier == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
        #expect(IssuedCertificate.renewalIdentifier(issuer: [1], serial: [0x7F]).hasSuffix(".fw"))
    }

    @Test("a window is where the directory says, behind one slash")
    func renewalURL() throws {
        for base in ["https://ca.example/ari", "https://ca.example/ari/"] {
            #expect(RenewalWindow.url(try ACMEURL(base), "a.b")?.description == "https://ca.example/ari/a.b")
        }
    }

    @Test(
        "a window has a start and an end in order",
        arguments: [
            ("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z", true),
            ("2025-01-02T04:00:00Z", "2025-01-02T04:00:00Z", true),
            ("2025-01-02T04:00:00Z", "2025-01-02T03:59:59Z", false), ("x", "2025-01-02T04:00:00Z", false),
            ("2025-01-01T00:00:00Z", "2026-02-05T00:00:00Z", true),
            ("2025-01-01T00:00:00Z", "2026-02-05T00:00:01Z", false),
        ]
    )
    func windows(start: String, end: String, isGood: Bool) {
        let body = #"{"suggestedWindow":{"start":"\#(start)","end":"\#(end)"},"explanationURL":"https://ca.example/x"}"#
        #expect((RenewalWindow(Array(body.utf8)) != nil) == isGood)
    }

    @Test(
        "a CA's refusal becomes one sentence with the CA, the type, the detail and one remedy",
        arguments: [
            ("rateLimited", 429, "let fewer names be claimed", OrderFailure.Kind.rateLimit),
            ("rejectedIdentifier", 400, "use a name for which", .refusal),
            ("externalAccountRequired", 403, "no external account", .refusal),
            ("invalidContact", 400, "correct email of [acme]", .refusal), ("caa", 403, "CAA record", .refusal),
            ("userActionRequired", 403, "instructions at https://ca.example/terms", .refusal),
            ("serverInternal", 500, "wait for the next attempt", .authority),
            ("somethingElse", 400, "compare directory", .refusal),
        ]
    )
    func sentences(type: String, status: Int, remedy: String, kind: OrderFailure.Kind) throws {
        let body = """
            {"type":"urn:ietf:params:acme:error:\(type)","detail":"Sorry,\\n\\u001b[31mno.","instance":"https://ca.example/terms"}
            """
        let problem = try #require(ACMEResource.decode(ProblemDocument.self, Array(body.utf8)))
        let name = try #require(CertificateName("app.example"))
        let failure = OrderFailure(problem, from: "ca.example", "refused the order", for: name, status: status)
        let start = #"the CA ca.example refused the order: \#(type), "Sorry,\u{A}\u{1B}[31mno."; "#
        #expect(failure.description.hasPrefix(start), "\(failure)")
        #expect(failure.description.contains(remedy), "\(failure)")
        #expect(failure.kind == kind)
    }

    @Test("a detail of any length is cut")
    func longDetail() {
        let long = String(repeating: "x", count: 5_000)
        let problem = ProblemDocument(
            type: long,
            detail: long,
            instance: nil,
            subproblems: [.init(type: nil, detail: long)]
        )
        #expect(problem.words.count < 400)
    }
}
