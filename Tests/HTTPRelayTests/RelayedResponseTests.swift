import HTTP1
import HTTPRelay
import NIOCore
import Testing

@Suite("Answers for a visitor")
struct RelayedResponseTests {
    typealias Pairs = [(String, String)]

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = "GET"
        var status = 200
        var version = HTTPVersion.http1_1
        let fields: Pairs
        let expected: Pairs
        let framing: BodyFraming

        init(
            _ name: String,
            to method: String = "GET",
            status: Int = 200,
            in version: HTTPVersion = .http1_1,
            _ fields: Pairs,
            _ expected: Pairs,
            _ framing: BodyFraming
        ) {
            testDescription = name
            (self.method, self.status, self.version) = (method, status, version)
            (self.fields, self.expected, self.framing) = (fields, expected, framing)
        }
    }

    private static let chunked = ("Transfer-Encoding", "chunked")
    private static func length(_ text: String) -> (String, String) { ("Content-Length", text) }

    static let rows = [
        Row("a length", [length("3"), ("A", "b")], [("A", "b"), length("3")], .length(3)),
        Row("a repeated length", [length("3, 3"), length("03")], [length("3")], .length(3)),
        Row("chunks", [chunked], [chunked], .chunked),
        Row("chunks and a length", [chunked, length("3")], [chunked], .chunked),
        Row("until the end", [("A", "b")], [("A", "b"), chunked], .chunked),
        Row("chunks to HTTP/1.0", in: .http1_0, [chunked], [], .untilClose),
        Row("until the end to HTTP/1.0", in: .http1_0, [], [], .untilClose),
        Row("a length to HTTP/1.0", in: .http1_0, [length("3")], [length("3")], .length(3)),
        Row("HEAD keeps the length", to: "HEAD", [length("3")], [length("3")], .none),
        Row("HEAD with a repeated length", to: "HEAD", [length("3,3"), length("3")], [length("3")], .none),
        Row("HEAD with both", to: "HEAD", [length("3"), chunked], [], .none),
        Row("HEAD without", to: "HEAD", [], [], .none),
        Row("304 keeps the length", status: 304, [length("3")], [length("3")], .none),
        Row("204 has none", status: 204, [length("3"), chunked], [], .none),
        Row(
            "fields of the hop",
            [
                ("Connection", "X-Hop, Content-Length, Set-Cookie"), ("X-Hop", "1"), ("x_hop", "2"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Authenticate", "Basic"), ("Upgrade", "h2"), ("TE", "x"), ("Trailer", "X-Sum"), length("0"),
            ],
            [("Trailer", "X-Sum"), length("0")],
            .length(0)
        ),
        Row(
            "cookies, and a length with _",
            [("Set-Cookie", "a"), ("set-cookie", "b"), ("Content_Length", "9"), length("0")],
            [("Set-Cookie", "a"), ("set-cookie", "b"), length("0")],
            .length(0)
        ),
        Row(
            "Connection cannot remove cookies' partners",
            [("Connection", "Cache-Control"), ("Cache-Control", "private"), length("0")],
            [("Cache-Control", "private"), length("0")],
            .length(0)
        ),
    ]

    @Test("The visitor gets one end of the body, and no field of the hop", arguments: rows)
    func table(row: Row) throws {
        let head = ResponseHead(version: .http1_0, status: row.status, reason: "R", fields: try fields(row.fields))
        let response = RelayedResponse(head, try BodyFraming(of: head, to: row.method), to: row.method, row.version)
        #expect(response.head == ResponseHead(status: row.status, reason: "R", fields: try fields(row.expected)))
        #expect(response.framing == row.framing)
        #expect(response.endsConnection == (row.framing == .untilClose))
    }

    @Test("An informational answer has no length and no field of the hop")
    func informational() throws {
        let pairs = [("Link", "x"), ("Content-Length", "3"), ("Connection", "close"), ("Transfer-Encoding", "chunked")]
        let head = RelayedResponse.informational(
            ResponseHead(status: 103, reason: "Early Hints", fields: try fields(pairs))
        )
        #expect(head == ResponseHead(status: 103, reason: "Early Hints", fields: try fields([("Link", "x")])))
    }

    @Test("The answer that switches names the protocol, once")
    func switching() throws {
        let pairs = [
            ("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x"), ("Content-Length", "3"),
        ]
        let head = ResponseHead(status: 101, fields: try fields(pairs))
        let expected = try fields([("Sec-WebSocket-Accept", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")])
        #expect(RelayedResponse.switching(head, to: "WebSocket").fields == expected)
        let bare = RelayedResponse.switching(ResponseHead(status: 101), to: "WebSocket")
        #expect(bare.fields == (try fields([("Connection", "Upgrade"), ("Upgrade", "WebSocket")])))
    }

    @Test(
        "Trailers that belong into a head are dropped",
        arguments: [
            "Content-Length", "content_length", "Transfer-Encoding", "Host", "Trailer", "Set-Cookie", "Connection",
            "TE",
            "Content-Type", "Content-Encoding", "Cache-Control", "Location", "X-Forwarded-For", "X-Forwarded-Anything",
            "Authorization", "WWW-Authenticate", "X-Real-IP",
        ]
    )
    func trailers(name: String) throws {
        let trailers = try fields([(name, "evil"), ("X-Sum", "1"), ("Grpc-Status", "0")])
        #expect(RelayedResponse.trailers(trailers) == (try fields([("X-Sum", "1"), ("Grpc-Status", "0")])))
    }

    @Test("H30 an answer's bytes cannot split it: what is written reads back as one answer")
    func splitting() throws {
        var parser = ResponseHeadParser()
        var input = ByteBuffer(string: "HTTP/1.1 200 OK\nA: b\n c\nX : y\n\n")
        let head = try #require(try parser.receive(&input))
        var wire = ByteBuffer()
        try RelayedResponse(head, .untilClose, to: "GET", .http1_1).head.serialize(into: &wire)
        #expect(String(buffer: wire) == "HTTP/1.1 200 OK\r\nA: b c\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n")
    }
}

@Suite("The relay's own pages")
struct StatusPageTests {
    static let pages: [StatusPage] = [
        .notFound, .misdirected, .forbidden, .badGateway, .timeout, .requestTimeout, .unauthorized,
        .unavailable(retryAfter: 5), .tooMany(retryAfter: 5), .redirect(to: "https://a.example/"),
        .refusal(status: 400),
        .refusal(status: 405), .refusal(status: 414), .refusal(status: 417), .refusal(status: 431),
        .refusal(status: 505),
    ]

    @Test(
        "A page has its status and reason as HTML and as text, its own length, and no product's name",
        arguments: pages
    )
    func page(_ page: StatusPage) throws {
        for (accept, type) in [(["text/html"], "text/html"), ([], "text/plain")] {
            let (head, body) = page.answer(accept: accept)
            let text = String(buffer: body)
            #expect(head.status == page.status && !head.reason.isEmpty)
            #expect(head.fields.values(of: "Content-Type") == ["\(type); charset=utf-8"])
            #expect(head.fields.values(of: "Content-Length") == ["\(body.readableBytes)"])
            #expect(head.fields.first("Cache-Control") == "no-store")
            #expect(text.contains("\(page.status) \(head.reason)") && text.contains(page.sentence))
            #expect(text.hasPrefix("<!doctype html>") == (type == "text/html"))
            var wire = ByteBuffer()
            try head.serialize(into: &wire)
            #expect(!(String(buffer: wire) + text).lowercased().contains("culvert"))
            #expect(head.fields.first("Server") == nil)
        }
    }

    @Test(
        "HTML is sent only if it is accepted",
        arguments: [
            (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true), (["application/json"], false),
            (["application/xml, Text/HTML ;q=0.5"], true), (["a/b", "text/html"], true), (["*/*"], false),
            ([""], false),
            (["text/htmlx"], false), (["text/html;q=0"], false), (["text/html; q=0.0, a/b"], false),
            (["text/html;q=0.01"], true),
        ]
    )
    func accept(fields: [String], isHTML: Bool) {
        let head = StatusPage.notFound.answer(accept: fields).head
        #expect(head.fields.first("Content-Type")?.hasPrefix("text/html") == isHTML)
    }

    @Test("Pages have the fields that their status needs")
    func needed() {
        func field(_ page: StatusPage, _ name: String) -> String? { page.answer(accept: []).head.fields.first(name) }
        #expect(
            field(.unavailable(retryAfter: 5), "Retry-After") == "5"
                && field(.tooMany(retryAfter: 6), "Retry-After") == "6"
        )
        #expect(field(.unauthorized, "WWW-Authenticate") == "Basic realm=\"site\", charset=\"UTF-8\"")
        #expect(field(.redirect(to: "https://a.example/b?c"), "Location") == "https://a.example/b?c")
        #expect(field(.refusal(status: 405), "Allow")?.contains("GET") == true)
        #expect(field(.refusal(status: 405), "Allow")?.contains("TRACE") == false)
    }
}
