import HTTP1
import Testing

@Suite("Fields")
struct HeaderFieldsTests {
    let list = fields(("Upgrade", "foo, WebSocket"), ("X", "1"), ("upgrade", " ,h2c ,"), ("Connection", "keep-alive"))

    @Test("Names are compared without case, and values keep their order")
    func lookUp() throws {
        #expect(list.count == 4)
        #expect(list.values(of: "UPGRADE") == ["foo, WebSocket", ",h2c ,"])
        #expect(list.first("upgrade") == "foo, WebSocket")
        #expect(list.first("absent") == nil)
        #expect(try list.single("x") == "1")
        #expect(try list.single("absent") == nil)
        #expect(list.map(\.name) == ["Upgrade", "X", "upgrade", "Connection"])
    }

    @Test("H12 the single accessor throws on two, equal or not")
    func h12_single() {
        #expect(throws: HTTP1Error(.duplicateField("Upgrade"))) { try list.single("Upgrade") }
    }

    @Test("H13 a list spans its fields, and tokens are compared without case")
    func h13_list() {
        #expect(list.list("Upgrade") == ["foo", "WebSocket", "h2c"])
        #expect(list.contains("upgrade", token: "websocket"))
        #expect(!list.contains("upgrade", token: "web"))
        #expect(list.contains("Connection", token: "Keep-Alive"))
        #expect(list.list("absent") == [])
    }

    @Test("H9 an underscore differs from a hyphen")
    func h9_underscore() {
        #expect(fields(("Sec_WebSocket_Key", "x")).first("Sec-WebSocket-Key") == nil)
    }

    @Test("P15 a peer's text is shown on one line, without control or override characters, up to the limit")
    func p15_display() {
        #expect(
            "a\r\nb\u{1B}[31m\u{202E}c\u{9B}\td".escapedForDisplay() == "a\\u{D}\\u{A}b\\u{1B}[31m\\u{202E}c\\u{9B} d"
        )
        #expect(String(repeating: "x", count: 200).escapedForDisplay() == String(repeating: "x", count: 200))
        #expect(String(repeating: "x", count: 201).escapedForDisplay(limit: 3) == "xxx…")
        #expect("caf\u{E9} 日本".escapedForDisplay() == "caf\u{E9} 日本")
    }
}
