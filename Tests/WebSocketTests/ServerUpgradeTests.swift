import HTTP1
import NIOCore
import Testing

@testable import WebSocket

/// The server's side of the handshake, H1 to H30 (RFC 6455, section 4.2).
@Suite struct ServerUpgradeTests {
    static let policy = ServerUpgrade(
        path: "/ws",
        subprotocols: ["tunnel.v1", "tunnel.v2"],
        allowedOrigins: ["https://good.example"]
    )
    static let good: [(String, String)] = [
        ("Host", "server.example"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "tunnel.v1"),
    ]

    /// A request that differs from a valid one.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var status: Int
        var method = "GET"
        var target = "/ws"
        var version = HTTPVersion.http1_1
        /// Fields that replace those of the same name; an empty list omits the field.
        var fields: [String: [String]] = [:]
        var hasLeftovers = false

        var testDescription: String { name }

        init(
            _ name: String,
            _ status: Int,
            method: String = "GET",
            target: String = "/ws",
            version: HTTPVersion = .http1_1,
            _ fields: [String: [String]] = [:],
            hasLeftovers: Bool = false
        ) {
            self.name = name
            self.status = status
            self.method = method
            self.target = target
            self.version = version
            self.fields = fields
            self.hasLeftovers = hasLeftovers
        }

        func request() throws -> RequestHead {
            let kept = ServerUpgradeTests.good.filter { fields[$0.0] == nil }
            let all = kept + fields.flatMap { name, values in values.map { (name, $0) } }
            return RequestHead(method: method, target: target, version: version, fields: try HeaderFields(all))
        }
    }

    @Test(
        "a valid request is accepted, in every spelling that the RFC allows",
        arguments: [
            Case("plain", 101),
            Case("H13 lists and case", 101, ["Upgrade": ["foo, WebSocket"], "Connection": ["keep-alive, UPGRADE"]]),
            Case(
                "H13 split over fields",
                101,
                ["Connection": ["keep-alive", "upgrade"], "Upgrade": ["h2c", "websocket"]]
            ),
            Case("H7 the query is ignored", 101, target: "/ws?a=/b?c"),
            Case("H5 absolute form that equals Host", 101, target: "http://server.example/ws"),
            Case("H16 Content-Length 0", 101, ["Content-Length": ["0"]]),
            Case("H25 an origin that is allowed", 101, ["Origin": ["https://good.example"]]),
            Case("H26 one of many subprotocols", 101, ["Sec-WebSocket-Protocol": ["x, y", "tunnel.v1"]]),
            Case(
                "H27 unterminated quotes among extensions",
                101,
                ["Sec-WebSocket-Extensions": ["a; b=\"", ";;;", "=;"]]
            ),
            Case("H29 forwarding fields are ignored", 101, ["X-Forwarded-For": ["1.2.3.4", "; drop"]]),
        ]
    )
    func accepted(test: Case) throws {
        guard case .accept(let head, let agreement) = Self.policy.answer(try test.request(), hasLeftovers: false) else {
            Issue.record("refused")
            return
        }
        #expect(agreement == Agreement(subprotocol: "tunnel.v1"))
        var out = ByteBuffer()
        try head.serialize(into: &out)
        #expect(
            String(buffer: out) == """
                HTTP/1.1 101 Switching Protocols\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
                Sec-WebSocket-Protocol: tunnel.v1\r
                \r\n
                """
        )
    }

    @Test(
        "a request that breaks a rule is refused with its status, closed, and not echoed",
        arguments: [
            Case("H1 POST", 405, method: "POST"), Case("H1 CONNECT", 405, method: "CONNECT"),
            Case("H1 lower case", 405, method: "get"), Case("H1 HEAD", 405, method: "HEAD"),
            Case("H2 HTTP/1.0", 505, version: .http1_0),
            Case("H2 HTTP/1.2", 505, version: HTTPVersion(major: 1, minor: 2)),
            Case("H3 no Host", 400, ["Host": []]),
            Case("H4 two Hosts", 400, ["Host": ["server.example", "server.example"]]),
            Case("H4 Host list", 400, ["Host": ["a, b"]]), Case("H4 userinfo", 400, ["Host": ["u@server.example"]]),
            Case("H4 space", 400, ["Host": ["a b"]]), Case("H4 slash", 400, ["Host": ["a/b"]]),
            Case("H4 empty", 400, ["Host": [""]]),
            Case("H5 absolute form of another host", 400, target: "http://other.example/ws"),
            Case("H6 authority form", 400, target: "server.example:80"), Case("H6 asterisk", 400, target: "*"),
            Case("H6 empty target", 400, target: ""), Case("H6 fragment", 400, target: "/ws#x"),
            Case("H6 space", 400, target: "/w s"), Case("H6 not ASCII", 400, target: "/wß"),
            Case("H7 double slash", 404, target: "//ws"), Case("H7 dot segments", 404, target: "/ws/../ws"),
            Case("H7 encoded", 404, target: "/%77s"), Case("H7 parameter", 404, target: "/ws;x"),
            Case("H7 case", 404, target: "/WS"), Case("H7 trailing slash", 404, target: "/ws/"),
            Case("H7 root", 404, target: "/"),
            Case(
                "H9 a name with underscores is another field",
                400,
                ["Sec-WebSocket-Key": [], "Sec_WebSocket_Key": ["dGhlIHNhbXBsZSBub25jZQ=="]]
            ),
            Case("H12 two keys", 400, ["Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="]]),
            Case("H12 two versions", 400, ["Sec-WebSocket-Version": ["13", "13"]]),
            Case("H12 two Authorizations", 400, ["Authorization": ["a", "b"]]),
            Case("H12 two Content-Lengths", 400, ["Content-Length": ["0", "0"]]),
            Case("H13 no Upgrade", 426, ["Upgrade": []]), Case("H13 h2c", 426, ["Upgrade": ["h2c"]]),
            Case("H13 a longer token", 426, ["Upgrade": ["websocket2"]]),
            Case("H13 no Connection", 426, ["Connection": []]),
            Case("H13 Connection without upgrade", 426, ["Connection": ["keep-alive"]]),
            Case("H14 no key", 400, ["Sec-WebSocket-Key": []]),
            Case("H14 15 bytes", 400, ["Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAA"]]),
            Case("H14 17 bytes", 400, ["Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAAAAA="]]),
            Case("H14 URL alphabet", 400, ["Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAA_w=="]]),
            Case("H14 not canonical", 400, ["Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAAAB=="]]),
            Case("H15 version 8", 426, ["Sec-WebSocket-Version": ["8"]]),
            Case("H15 013", 426, ["Sec-WebSocket-Version": ["013"]]),
            Case("H15 13, 12", 426, ["Sec-WebSocket-Version": ["13, 12"]]),
            Case("H15 no version", 426, ["Sec-WebSocket-Version": []]),
            Case("H16 a body", 400, ["Content-Length": ["5"]]), Case("H16 +0", 400, ["Content-Length": ["+0"]]),
            Case("H16 0x5", 400, ["Content-Length": ["0x5"]]), Case("H16 0, 0", 400, ["Content-Length": ["0, 0"]]),
            Case("H16 chunked", 400, ["Transfer-Encoding": ["chunked"]]),
            Case("H16 TE identity", 400, ["Transfer-Encoding": ["identity"]]),
            Case("H17 Expect", 417, ["Expect": ["100-continue"]]),
            Case("H21 bytes behind the head", 400, hasLeftovers: true),
            Case("H25 another origin", 403, ["Origin": ["https://evil.example"]]),
            Case("H25 null", 403, ["Origin": ["null"]]),
            Case("H25 a wild card", 403, ["Origin": ["*"]]),
            Case("H25 a longer origin", 403, ["Origin": ["https://good.example.evil"]]),
            Case("H25 two origins", 400, ["Origin": ["https://good.example", "https://good.example"]]),
            Case("H26 no subprotocol", 400, ["Sec-WebSocket-Protocol": []]),
            Case("H26 another subprotocol", 400, ["Sec-WebSocket-Protocol": ["tunnel.v"]]),
            Case("H26 another case", 400, ["Sec-WebSocket-Protocol": ["TUNNEL.V1"]]),
            Case("H26 a thousand tokens", 400, ["Sec-WebSocket-Protocol": [String(repeating: "x,", count: 1000)]]),
            Case(
                "H26 8 KiB of spaces",
                400,
                ["Sec-WebSocket-Protocol": ["x" + String(repeating: " ", count: 8192) + "y"]]
            ),
        ]
    )
    func refused(test: Case) throws {
        let answer = Self.policy.answer(try test.request(), hasLeftovers: test.hasLeftovers)
        guard case .refuse(let head, let body, let reason) = answer else {
            Issue.record("accepted")
            return
        }
        #expect(head.status == test.status)
        #expect(head.fields.contains("Connection", token: "close"))
        #expect(head.fields.first("Content-Length") == "\(body.utf8.count)")
        #expect(!reason.isEmpty)
        #expect(head.fields.first("Allow") == (test.status == 405 ? "GET" : nil))
        #expect(head.fields.first("Sec-WebSocket-Version") == (test.status == 426 ? "13" : nil))
        #expect(head.fields.first("Upgrade") == (test.status == 426 ? "websocket" : nil))
        var out = ByteBuffer()
        try head.serialize(into: &out)
        let whole = String(buffer: out) + body
        for value in ["evil", "other.example", "tunnel", "dGhl", "/ws"] {
            #expect(!whole.contains(value), "H30 nothing of the request is sent back")
        }
    }

    @Test("H7 every path that is not served has the same answer")
    func constantNotFound() throws {
        let answers = try ["/", "/admin", "/ws/", "/?/ws"].map { target in
            Self.policy.answer(try Case("", 404, target: target).request(), hasLeftovers: false)
        }
        #expect(answers.allSatisfy { $0 == answers[0] })
    }

    @Test("H28 with hosts configured, another Host is refused")
    func hosts() throws {
        var policy = Self.policy
        policy.allowedHosts = ["tunnel.example:8443"]
        for (host, status) in [("tunnel.example:8443", 101), ("TUNNEL.example:8443", 101), ("server.example", 421)] {
            switch policy.answer(try Case("", status, ["Host": [host]]).request(), hasLeftovers: false) {
            case .accept: #expect(status == 101)
            case .refuse(let head, _, _): #expect(head.status == status)
            }
        }
    }

    @Test("without subprotocols in the policy none is chosen")
    func noSubprotocols() throws {
        let policy = ServerUpgrade(path: "/ws")
        let answer = policy.answer(try Case("", 101).request(), hasLeftovers: false)
        guard case .accept(let head, let agreement) = answer else {
            Issue.record("refused")
            return
        }
        #expect(agreement == Agreement())
        #expect(head.fields.first("Sec-WebSocket-Protocol") == nil)
    }

    @Test("client and server agree")
    func bothEnds() throws {
        let client = try ClientUpgrade(
            authority: "server.example:80",
            path: "/ws?x",
            subprotocols: ["none", "tunnel.v2", "tunnel.v1"]
        )
        guard case .accept(let head, let agreement) = Self.policy.answer(try client.request(), hasLeftovers: false)
        else {
            Issue.record("refused")
            return
        }
        #expect(agreement.subprotocol == "tunnel.v2")
        #expect(try client.verify(head) == agreement)
    }
}
