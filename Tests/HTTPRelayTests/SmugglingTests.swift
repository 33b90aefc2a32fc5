import HTTP1
import HTTPRelay
import TestSupport
import Testing

/// Requests that two programs could read differently (B1 of Threats): each is refused, or the service gets it in one form.
@Suite("Smuggled requests")
struct SmugglingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let input: [UInt8]
        let expected: Relayed

        /// A connection that is refused with a status at its first request.
        init(_ name: String, _ input: String, _ refusal: Int) {
            self.init(name, Array(input.utf8), Relayed(refusal: refusal))
        }

        /// A connection whose requests reach the service.
        init(_ name: String, _ input: String, _ requests: [UInt8]..., refusal: Int? = nil, isOpen: Bool = false) {
            self.init(name, Array(input.utf8), Relayed(requests: requests, refusal: refusal, isOpen: isOpen))
        }

        init(_ name: String, _ input: [UInt8], _ expected: Relayed) {
            (testDescription, self.input, self.expected) = (name, input, expected)
        }
    }

    private static let next = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"
    private static let chunked = "Transfer-Encoding: chunked"

    static let hosts = [
        Row("H3 no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        Row("H3 no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 400),
        Row("H3 an absolute target without Host", "GET http://a.example/ HTTP/1.1\r\n\r\n", 400),
        Row("H4 two Host fields", head("GET /", "Host: b.example"), 400),
        Row("H4 two equal Host fields in two cases", head("GET /", "hOST: a.example"), 400),
        Row("H4 a list of hosts", "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", 400),
        Row("H4 user information", "GET / HTTP/1.1\r\nHost: b.example@a.example\r\n\r\n", 400),
        Row("H4 a space in Host", "GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n", 400),
        Row("H4 a path in Host", "GET / HTTP/1.1\r\nHost: a.example/b\r\n\r\n", 400),
        Row("H4 a port that is no number", "GET / HTTP/1.1\r\nHost: a.example:80.b.example\r\n\r\n", 400),
        Row("H4 a port that is too large", "GET / HTTP/1.1\r\nHost: a.example:65536\r\n\r\n", 400),
        Row("H4 an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        Row("H4 a Host that would end a quoted string", "GET / HTTP/1.1\r\nHost: a\";for=b\r\n\r\n", 400),
        Row("H4 a folded Host", "GET / HTTP/1.1\r\nHost:\r\n a.example\r\n\r\n", 400),
        Row("H4 a Host that a name with _ repeats", head("GET /", "X: 1", "HOST : b"), 400),
        Row("H5 an absolute target of another host", head("GET http://b.example/"), 400),
        Row("H5 an absolute target of another port", head("GET http://a.example:80/"), 400),
        Row("H5 an absolute target with user information", head("GET http://a.example@b.example/"), 400),
        Row("H5 an absolute target of another scheme", head("GET ftp://a.example/"), 400),
        Row("H5 an absolute target without a host", head("GET http:///"), 400),
        Row("H5 an absolute target with a backslash", head("GET http://a.example\\@b.example/"), 400),
        Row("H5 an absolute target", head("GET http://A.EXAMPLE/b?c"), got("GET /b?c")),
        Row("H5 an absolute target without a path", head("GET http://a.example?c"), got("GET /?c")),
        Row("H6 authority-form", head("GET a.example:80"), 400),
        Row("H6 asterisk-form with GET", head("GET *"), 400),
        Row("H6 asterisk-form", head("OPTIONS *"), got("OPTIONS *")),
        Row("H6 asterisk-form with a malformed Host", "OPTIONS * HTTP/1.1\r\nHost: a;for=b\r\n\r\n", 400),
        Row("H6 a fragment", head("GET /#/admin"), 400), Row("H6 a space in the target", head("GET /a b"), 400),
        Row("H6 a byte outside ASCII", head("GET /é"), 400), Row("H6 CR in the target", head("GET /\r/a"), 400),
        Row("H7 path tricks", head("GET //x/..;/%2e%2e/%00\\?a=/../"), got("GET //x/..;/%2e%2e/%00\\?a=/../")),
        Row(
            "names for several services on one connection",
            head("GET /a") + "GET /b HTTP/1.1\r\nHost: b.example:80\r\n\r\n",
            got("GET /a"),
            got("GET /b", host: "b.example:80")
        ),
    ]

    static let lines = [
        Row("H1 CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 405),
        Row("H1 connect in lower case", "connect a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 405),
        Row("H1 TRACE", head("TRACE /"), 405), Row("H1 TRACK", head("TRACK /"), 405),
        Row("H1 a method in lower case", head("get /"), 400), Row("H1 head in mixed case", head("Head /"), 400),
        Row("H2 HTTP/0.9", "GET /\r\n\r\n", 400), Row("H2 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a.example\r\n\r\n", 505),
        Row("H2 the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        Row("H2 the preface in HTTP/1.1", head("PRI *") + "SM\r\n\r\n", 400),
        Row("H2 a version in lower case", "GET / http/1.1\r\nHost: a.example\r\n\r\n", 400),
        Row("H2 a space behind the version", "GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n", 400),
        Row("H2 two versions", "GET / HTTP/1.1 HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
        Row("H6 two spaces", "GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
        Row("H6 a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
        Row("H8 a folded coding", head("POST /", "Transfer-Encoding:", " chunked"), 400),
        Row("H8 a folded first line", "GET / HTTP/1.1\r\n Host: b\r\nHost: a.example\r\n\r\n", 400),
        Row("H9 a space before a coding's colon", head("POST /", "Transfer-Encoding : chunked"), 400),
        Row("H9 a tab before a length's colon", head("POST /", "Content-Length\t: 5"), 400),
        Row("H9 an empty name", head("GET /", ": x"), 400), Row("H9 no colon", head("GET /", "Content-Length"), 400),
        Row("H9 a name with a byte outside ASCII", head("GET /", "Content-Length\u{A0}: 5"), 400),
        Row("H9 NUL in a name", head("GET /", "Content-Length\0: 5"), 400),
        Row("H9 a length with _", head("POST /", "Content_Length: 5"), 400),
        Row("H9 a coding with _", head("POST /", "Transfer_Encoding: chunked"), 400),
        Row("H9 a coding with a dot", head("POST /", "Transfer.Encoding: chunked"), 400),
        Row(
            "H9 an unrelated field with _",
            head("GET /", "Sec_WebSocket_Key: x"),
            got("GET /", ["Sec_WebSocket_Key: x"])
        ),
        Row("H9 an origin with _", head("GET /", "X_Forwarded_For: 127.0.0.1", "x.real.ip: b"), got("GET /")),
        Row("H10 lines that end with LF", "GET / HTTP/1.1\nHost: a.example\n\n", 400),
        Row("H10 LF hides a field", head("GET /", "X: y\nContent-Length: 5"), 400),
        Row("H10 CR hides a field", head("GET /", "X: y\rContent-Length: 5"), 400),
        Row("H10 LF CR at the end", "GET / HTTP/1.1\r\nHost: a.example\r\nX: y\n\r\n\r\n", 400),
        Row("H10 CR CR LF", "GET / HTTP/1.1\r\nHost: a.example\r\r\n\r\n", 400),
        Row("H10 NUL in a value", head("GET /", "X: \0"), 400),
        Row("H10 DEL in a value", head("GET /", "X: \u{7F}"), 400),
        Row("H10 a vertical tab before a coding", head("POST /", "Transfer-Encoding: \u{B}chunked"), 400),
        Row("H11 one empty line first", "\r\n" + head("GET /"), got("GET /")),
        Row("H11 two empty lines first", "\r\n\r\n" + head("GET /"), 400),
        Row("H11 an empty line of LF", "\n" + head("GET /"), 400),
        Row("H12 two Authorization fields", head("GET /", "Authorization: Basic YQ==", "authorization: b"), 400),
        Row("H12 two keys", head("GET /", "Sec-WebSocket-Key: a", "Sec-WebSocket-Key: a"), 400),
        Row("H12 two versions", head("GET /", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 400),
        Row(
            "bytes outside ASCII",
            Array("GET / HTTP/1.1\r\nHost: a.example\r\nX: ".utf8) + [0xE9] + Array("\r\n\r\n".utf8),
            Relayed(requests: [Array(got("GET /", ["X: ?"])).map { $0 == UInt8(ascii: "?") ? 0xE9 : $0 }])
        ),
    ]

    static let bodies = [
        Row("H12 two lengths", head("POST /", "Content-Length: 0", "Content-Length: 41") + next, 400),
        Row("H12 two equal lengths", head("POST /", "Content-Length: 1", "Content-Length: 1") + "a", 400),
        Row("H16 a list of lengths", head("POST /", "Content-Length: 5, 5") + "abcde", 400),
        Row("H16 a length with a sign", head("POST /", "Content-Length: +5") + "abcde", 400),
        Row("H16 a negative length", head("POST /", "Content-Length: -1"), 400),
        Row("H16 a hexadecimal length", head("POST /", "Content-Length: 0x5") + "abcde", 400),
        Row("H16 an empty length", head("POST /", "Content-Length:"), 400),
        Row("H16 a length with a space inside", head("POST /", "Content-Length: 1 0") + "a", 400),
        Row("H16 a length that overflows", head("POST /", "Content-Length: 18446744073709551621") + "abcde", 400),
        Row("CL.TE", head("POST /", "Content-Length: 6", chunked) + "0\r\n\r\nG", 400),
        Row("TE.CL", head("POST /", chunked, "Content-Length: 4") + "5c\r\n" + next, 400),
        Row(
            "CL.0",
            head("POST /", "Content-Length: \(next.utf8.count)") + next,
            got("POST /", framing: "Content-Length: \(next.utf8.count)", body: next)
        ),
        Row("TE.TE twice", head("POST /", chunked, chunked) + "0\r\n\r\n", 400),
        Row("TE.TE with another", head("POST /", chunked, "Transfer-Encoding: x") + "0\r\n\r\n", 400),
        Row("TE.TE in a list", head("POST /", "Transfer-Encoding: chunked, identity") + "0\r\n\r\n", 400),
        Row("a coding behind another", head("POST /", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", 400),
        Row("a coding that is almost chunked", head("POST /", "Transfer-Encoding: xchunked") + "0\r\n\r\n", 400),
        Row("a quoted coding", head("POST /", "Transfer-Encoding: \"chunked\"") + "0\r\n\r\n", 400),
        Row("an empty coding", head("POST /", "Transfer-Encoding:") + next, 400),
        Row("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a.example\r\n\(chunked)\r\n\r\n0\r\n\r\n", 400),
        Row(
            "a coding in capitals",
            head("POST /", "TRANSFER-encoding:\tChunked ") + "0\r\n\r\n",
            got("POST /", framing: chunked, body: "0\r\n\r\n")
        ),
        Row(
            "a length with leading zeros",
            head("POST /", "Content-Length: 0003") + "abc",
            got("POST /", framing: "Content-Length: 3", body: "abc")
        ),
        Row(
            "a GET with a body, and a second request",
            head("GET /", "Content-Length: 3") + "abc" + head("GET /b"),
            got("GET /", framing: "Content-Length: 3", body: "abc"),
            got("GET /b")
        ),
        Row(
            "a body without a length is the next request",
            head("POST /") + "abc",
            got("POST /")
        ),
        Row(
            "chunk extensions are dropped",
            head("POST /", chunked) + "3;a=\"0\"\r\nabc\r\n0;b\r\n\r\n",
            got("POST /", framing: chunked, body: "3\r\nabc\r\n0\r\n\r\n")
        ),
        Row(
            "trailers that frame, route or authenticate are dropped",
            head("POST /", chunked)
                + "0\r\nContent-Length: 5\r\nHost: b\r\nX-Forwarded-Port: 1\r\nX_Real_IP: b\r\nCookie: c\r\nX-Sum: 1\r\n\r\n",
            got("POST /", framing: chunked, body: "0\r\nX-Sum: 1\r\n\r\n")
        ),
        Row(
            "a chunk's size with a sign",
            head("POST /", chunked) + "+3\r\nabc",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a chunk's size with 0x",
            head("POST /", chunked) + "0x3\r\nabc",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a chunk's size that overflows",
            head("POST /", chunked) + "100000003\r\nabc",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a chunk's line ends with LF",
            head("POST /", chunked) + "3\nabc\r\n0\r\n\r\n",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "LF in a chunk's extension",
            head("POST /", chunked) + "2;\nxx\r\n0\r\n\r\n",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "text behind a chunk's size",
            head("POST /", chunked) + "2 xx\r\nab\r\n0\r\n\r\n",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a chunk that is longer than its size",
            head("POST /", chunked) + "2\r\nabc\r\n0\r\n\r\n",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a folded trailer",
            head("POST /", chunked) + "0\r\nA: b\r\n c\r\n\r\n",
            got("POST /", framing: chunked),
            refusal: 400,
            isOpen: true
        ),
        Row(
            "a body that is not complete",
            head("POST /", "Content-Length: 4") + "abc",
            got("POST /", framing: "Content-Length: 4", body: "abc"),
            isOpen: true
        ),
        Row("H18 65 fields", head("GET /", (0..<64).map { "F\($0): x" }.joined(separator: "\r\n")), 431),
        Row("H18 a long target", head("GET /" + String(repeating: "x", count: 8_192)), 414),
    ]

    static let hops = [
        Row("Connection names Host", head("GET /", "Connection: close, Host"), 400),
        Row(
            "Connection names a length",
            head("POST /", "Connection: Content-Length", "Content-Length: 5") + "abcde",
            400
        ),
        Row("Connection names a coding with _", head("POST /", "Connection: Transfer_Encoding"), 400),
        Row("Connection names an origin", head("GET /", "Connection: X-Forwarded-For"), 400),
        Row("Connection names Authorization", head("GET /", "Connection: authorization"), 400),
        Row("Connection names Cookie", head("GET /", "Connection: Cookie"), 400),
        Row(
            "fields of the hop are removed",
            head(
                "GET /",
                "Connection: X-Hop, , close",
                "X-Hop: 1",
                "X_Hop: 2",
                "Keep-Alive: 5",
                "Keep_Alive: 5",
                "TE: gzip",
                "Proxy-Connection: x",
                "Proxy-Authorization: Basic YQ==",
                "Upgrade: websocket",
                "X-End: 1"
            ),
            got("GET /", ["X-End: 1"])
        ),
        Row(
            "origins are removed",
            head(
                "GET /",
                "X-Forwarded-For: 127.0.0.1",
                "x-forwarded-host: b",
                "X-Forwarded-Whatever: b",
                "Forwarded: for=b",
                "X-Real-IP: 127.0.0.1",
                "True-Client-IP: b",
                "X-Original-URL: /admin",
                "X-Rewrite-URL: /admin",
                "Proxy: b"
            ),
            got("GET /")
        ),
        Row(
            "TE keeps trailers",
            head("GET /", "TE: gzip;q=1, trailers"),
            got("GET /", tail: ["TE: trailers", "Connection: TE"])
        ),
        Row(
            "an expectation",
            head("POST /", "Expect: 100-Continue", "Content-Length: 1") + "a",
            got("POST /", ["Expect: 100-Continue"], framing: "Content-Length: 1", body: "a")
        ),
        Row("another expectation", head("POST /", "Expect: 100-continue, x", "Content-Length: 1") + "a", 417),
        Row(
            "an expectation in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
            got("POST /", framing: "Content-Length: 1", body: "a")
        ),
        Row("HTTP/1.0", "GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n", got("GET /")),
        Row(
            "a WebSocket, and frames at once",
            head("GET /", "Connection: keep-alive, upgrade", "Upgrade: WebSocket") + next,
            got("GET /", tail: ["Upgrade: WebSocket", "Connection: Upgrade"])
        ),
        Row(
            "H16 a WebSocket with a length",
            head("GET /", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5") + "abcde",
            400
        ),
        Row(
            "H16 a WebSocket with chunks",
            head("GET /", "Connection: Upgrade", "Upgrade: websocket", chunked) + "0\r\n\r\n",
            400
        ),
        Row("a WebSocket without Connection", head("GET /", "Upgrade: websocket"), got("GET /")),
        Row(
            "a WebSocket in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            got("GET /")
        ),
        Row("two protocols", head("GET /", "Connection: Upgrade", "Upgrade: websocket, h2c"), got("GET /")),
        Row(
            "two fields of protocols",
            head("GET /", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
            got("GET /")
        ),
        Row(
            "h2c",
            head("GET /", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk") + next,
            got("GET /"),
            got("GET /admin")
        ),
        Row("h2c in capitals with a version", head("GET /", "Connection: Upgrade", "Upgrade: H2C/1"), got("GET /")),
        Row("h2c with more text", head("GET /", "Connection: Upgrade", "Upgrade: h2c;x"), got("GET /")),
        Row("a draft of HTTP/2", head("GET /", "Connection: Upgrade", "Upgrade: h2-14"), got("GET /")),
        Row("HTTP/2.0 by its name", head("GET /", "Connection: Upgrade", "Upgrade: HTTP/2.0"), got("GET /")),
        Row("TLS", head("OPTIONS *", "Connection: Upgrade", "Upgrade: TLS/1.0"), got("OPTIONS *")),
        Row("a protocol that is no token", head("GET /", "Connection: Upgrade", "Upgrade: web socket"), got("GET /")),
        Row(
            "a body with h2c",
            head("POST /", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 1") + "a",
            got("POST /", framing: "Content-Length: 1", body: "a")
        ),
    ]

    static let rows = hosts + lines + bodies + hops

    @Test("A request is refused, or the service gets these bytes, at every split", arguments: rows)
    func table(row: Row) {
        // A long input is the same everywhere, so fewer splits of it suffice.
        guard row.input.count < 1_000 else {
            #expect(relay([row.input]) == row.expected)
            #expect(relay(row.input.map { [$0] }) == row.expected)
            return
        }
        everySplit(of: row.input) { chunks, how in
            #expect(relay(chunks) == row.expected, "\(how)")
        }
    }

    @Test("The table has more than 60 rows")
    func size() { #expect(Self.rows.count > 60) }
}
