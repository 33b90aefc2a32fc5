import HTTP1
import NIOCore
import Testing

@testable import WebSocket

/// The client's side of the handshake, R1 to R6 (RFC 6455, section 4.1).
@Suite struct ClientUpgradeTests {
    static let key = Array("the sample nonce".utf8)
    static let good: [(String, String)] = [
        ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]

    func upgrade(_ subprotocols: [String] = ["chat", "superchat"]) throws -> ClientUpgrade {
        try ClientUpgrade(authority: "server.example.com", path: "/chat", subprotocols: subprotocols, key: Self.key)
    }

    func verify(
        _ fields: [(String, String)],
        status: Int = 101,
        version: HTTPVersion = .http1_1
    ) throws -> Agreement {
        let fields = try HeaderFields(fields)
        return try upgrade().verify(ResponseHead(version: version, status: status, reason: "", fields: fields))
    }

    @Test("RFC 6455 section 1.3: the request has the required fields, and no Origin")
    func request() throws {
        var out = ByteBuffer()
        try upgrade().request().serialize(into: &out)
        #expect(
            String(buffer: out) == """
                GET /chat HTTP/1.1\r
                Host: server.example.com\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
                Sec-WebSocket-Version: 13\r
                Sec-WebSocket-Protocol: chat, superchat\r
                \r\n
                """
        )
    }

    @Test("additional fields are sent; fields that the handshake sets or that announce a body are refused")
    func additionalFields() throws {
        let fields = try HeaderFields([("Authorization", "Bearer x"), ("Origin", "https://a.example")])
        let head = try ClientUpgrade(authority: "h", path: "/?q", fields: fields).request()
        #expect(head.fields.first("Authorization") == "Bearer x")
        for name in [
            "host", "UPGRADE", "Connection", "sec-websocket-key", "Sec-WebSocket-Extensions", "Content-Length",
            "Transfer-Encoding", "Expect",
        ] {
            #expect(throws: UpgradeError.reservedField(name)) {
                try ClientUpgrade(authority: "h", path: "/", fields: HeaderFields([(name, "1")]))
            }
        }
    }

    @Test("values that no request can carry are refused before anything is sent")
    func invalidParts() {
        for authority in ["", "a b", "u@h", "h/x", "h\r\nX: y", "h:99999"] {
            #expect(throws: UpgradeError.invalidTarget) { try ClientUpgrade(authority: authority, path: "/") }
        }
        for path in ["", "x", "/a b", "/a\r\nX: y", "/a#b", "/ä", "*", "http://h/"] {
            #expect(throws: UpgradeError.invalidTarget) { try ClientUpgrade(authority: "h", path: path) }
        }
        for subprotocols in [[""], ["a b"], ["a,b"], ["a", "a"], ["ä"]] {
            #expect(throws: UpgradeError.invalidSubprotocol) {
                try ClientUpgrade(authority: "h", path: "/", subprotocols: subprotocols)
            }
        }
        for count in [0, 15, 17] {
            #expect(throws: UpgradeError.invalidKey) {
                try ClientUpgrade(authority: "h", path: "/", key: [UInt8](repeating: 0, count: count))
            }
        }
        #expect(ClientUpgrade.randomKey() != ClientUpgrade.randomKey())
    }

    @Test("a correct 101 is accepted, with an offered subprotocol or without one")
    func accepted() throws {
        #expect(try verify(Self.good) == Agreement())
        #expect(try verify(Self.good + [("Sec-WebSocket-Protocol", "superchat")]).subprotocol == "superchat")
        #expect(
            try verify([("UPGRADE", "WebSocket"), ("connection", "keep-alive, upgrade"), Self.good[2]]) == Agreement()
        )
    }

    @Test(
        "R1 any other status is an error with the status and the time to wait",
        arguments: [
            200, 204, 301, 302, 401, 403, 404, 407, 426, 429, 503,
        ]
    )
    func otherStatus(status: Int) {
        #expect(throws: UpgradeError.status(status, retryAfter: nil)) { try verify(Self.good, status: status) }
        for (value, seconds) in [
            ("120", 120), ("0", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", nil), ("-1", nil), ("99999999999999999999", nil),
            ("", nil), ("1.5", nil),
        ] as [(String, Int?)] {
            #expect(throws: UpgradeError.status(status, retryAfter: seconds)) {
                try verify(Self.good + [("Retry-After", value)], status: status)
            }
        }
        #expect("\(UpgradeError.status(status, retryAfter: 3))".contains("\(status)"))
    }

    @Test(
        "R2 R3 R4 a 101 that lacks a part, or has one that was not requested, is refused",
        arguments: [
            ("R2 no Accept", ["Sec-WebSocket-Accept": []], UpgradeError.missingAccept),
            ("R2 two Accepts", ["Sec-WebSocket-Accept": [good[2].1, good[2].1]], .missingAccept),
            ("R2 wrong Accept", ["Sec-WebSocket-Accept": ["AAAALMBiTxaQ9kYGzzhZRbK+xOo="]], .wrongAccept),
            ("R2 other case", ["Sec-WebSocket-Accept": ["S3PPLMBITXAQ9KYGZZHZRBK+XOO="]], .wrongAccept),
            ("R2 white space", ["Sec-WebSocket-Accept": ["s3pPLMBiTxaQ9kYG zzhZRbK+xOo="]], .wrongAccept),
            ("R2 empty Accept", ["Sec-WebSocket-Accept": [""]], .wrongAccept),
            ("R3 no Upgrade", ["Upgrade": []], .missingUpgrade),
            ("R3 other Upgrade", ["Upgrade": ["h2c"]], .missingUpgrade),
            ("R3 several Upgrades", ["Upgrade": ["websocket, h2c"]], .missingUpgrade),
            ("R3 no Connection", ["Connection": []], .missingConnection),
            ("R3 other Connection", ["Connection": ["close"]], .missingConnection),
            ("R4 extension", ["Sec-WebSocket-Extensions": ["permessage-deflate"]], .unrequestedExtension),
            ("R4 subprotocol", ["Sec-WebSocket-Protocol": ["other"]], .unrequestedSubprotocol),
            ("R4 subprotocol of other case", ["Sec-WebSocket-Protocol": ["Chat"]], .unrequestedSubprotocol),
            ("R4 two subprotocols", ["Sec-WebSocket-Protocol": ["chat", "superchat"]], .unrequestedSubprotocol),
            ("R4 list of subprotocols", ["Sec-WebSocket-Protocol": ["chat, superchat"]], .unrequestedSubprotocol),
        ] as [(String, [String: [String]], UpgradeError)]
    )
    func refused(row: (name: String, replaced: [String: [String]], error: UpgradeError)) {
        let kept = Self.good.filter { row.replaced[$0.0] == nil }
        let fields = kept + row.replaced.flatMap { name, values in values.map { (name, $0) } }
        #expect(throws: row.error) { try verify(fields) }
    }

    @Test("a 101 of HTTP/1.0 is refused")
    func oldVersion() {
        #expect(throws: UpgradeError.version(.http1_0)) { try verify(Self.good, version: .http1_0) }
    }

    @Test("R5 interim answers are distinguished from the final one")
    func interim() {
        for (status, isInterim) in [(100, true), (101, false), (102, true), (103, true), (199, true), (200, false)] {
            #expect(ClientUpgrade.isInterim(ResponseHead(version: .http1_1, status: status, reason: "")) == isInterim)
        }
    }

    @Test("R6 bytes behind the 101 in one segment are left for the connection")
    func leftovers() throws {
        var parser = ResponseHeadParser()
        var bytes = buffer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n")
        for (name, value) in Self.good { bytes.writeString("\(name): \(value)\r\n") }
        bytes.writeString("\r\n")
        bytes.writeBytes(hex("8105 48656c6c6f"))
        let interimHead = try parser.receive(&bytes)
        let interim = try #require(interimHead)
        #expect(ClientUpgrade.isInterim(interim))
        let finalHead = try parser.receive(&bytes)
        let final = try #require(finalHead)
        _ = try upgrade().verify(final)
        #expect(feed([Array(bytes.readableBytesView)], .client).events == [text("Hello")])
    }
}
