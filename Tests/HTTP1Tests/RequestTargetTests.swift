import HTTP1
import Testing

@Suite("Target and Host of a request")
struct RequestTargetTests {
    private func route(_ target: String, _ hosts: String...) throws(HTTP1Error) -> RequestTarget {
        var head = RequestHead(method: "GET", target: target)
        for host in hosts { try head.fields.append("Host", host) }
        return try head.route()
    }

    @Test(
        "Origin-form and absolute-form give the path and the query as sent",
        arguments: [
            ("/", "a", "/", nil), ("/tunnel", "a:80", "/tunnel", nil), ("/t?x=?y", "a", "/t", "x=?y"),
            ("/t?", "a", "/t", ""),
            ("//t/../%2E;x", "[::1]:8080", "//t/../%2E;x", nil), ("http://a/t?q", "A", "/t", "q"),
            ("WSS://a:443", "a:443", "/", nil), ("https://[::1]?q", "[::1]", "/", "q"), ("/", "a_b.example.", "/", nil),
        ] as [(String, String, String, String?)]
    )
    func accepted(_ target: String, _ host: String, _ path: String, _ query: String?) throws {
        #expect(try route(target, host) == RequestTarget(authority: host, path: path, query: query))
    }

    @Test("H3 a request without Host is refused")
    func h3_noHost() {
        #expect(throws: HTTP1Error(.missingHost)) { try route("/") }
    }

    @Test("H4 two Host fields are refused, equal or not")
    func h4_twoHosts() {
        #expect(throws: HTTP1Error(.duplicateField("Host"))) { try route("/", "a", "a") }
    }

    @Test(
        "H4 a Host that is more than host and port is refused",
        arguments: [
            "", "a, b", "a,b", "u@a", "a b", "a/b", "a:", "a:x", "a:65536", "a:000080", "a:-1", "a:80:80", ":80",
            "[::1", "[]",
            "[a]", "[::1]x", "[fe80::1%25eth0]", "a%2", "a%zz", "\u{E9}", "a?b", "a#b", "::1",
        ]
    )
    func h4_malformedHost(_ host: String) {
        #expect(throws: HTTP1Error(.malformedHost)) { try route("/", host) }
    }

    @Test(
        "H5 an absolute target that names another authority is refused",
        arguments: [
            "http://b/", "http://a:80/", "http://aa/", "ws://[::1]/",
        ]
    )
    func h5_otherAuthority(_ target: String) {
        #expect(throws: HTTP1Error(.hostMismatch)) { try route(target, "a") }
    }

    @Test(
        "H6 a target in another form is refused",
        arguments: [
            "*", "a:80", "", "a", "ftp://a/", "http:/a", "http:///", "http://u@a/", "http://", "http:", "/a b", "/a#b",
        ]
    )
    func h6_otherForms(_ target: String) {
        #expect(throws: HTTP1Error(.malformedTarget)) { try route(target, "a") }
    }
}
