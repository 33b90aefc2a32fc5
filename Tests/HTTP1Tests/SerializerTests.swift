import HTTP1
import NIOCore
import Testing

@Suite("Heads to send")
struct SerializerTests {
    @Test("A request reads back as written")
    func requestRoundTrip() throws {
        let head = RequestHead(
            method: "CONNECT",
            target: "[::1]:443",
            fields: fields(("Host", "[::1]:443"), ("X", "\u{E9} \t y"), ("Empty", ""))
        )
        var buffer = ByteBuffer()
        try head.serialize(into: &buffer)
        let expected = "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nX: \u{E9} \t y\r\nEmpty: \r\n\r\n"
        #expect(String(buffer: buffer) == expected)
        var parser = RequestHeadParser()
        #expect(try parser.receive(&buffer) == head)
    }

    @Test("An answer reads back as written")
    func responseRoundTrip() throws {
        let head = ResponseHead(status: 426, reason: "Upgrade Required", fields: fields(("Connection", "close")))
        var buffer = ByteBuffer()
        try head.serialize(into: &buffer)
        #expect(String(buffer: buffer) == "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\n")
        var parser = ResponseHeadParser()
        #expect(try parser.receive(&buffer) == head)
    }

    static let controls = (0..<32).filter { $0 != 9 }.map { UInt8($0) } + [0x7F]

    @Test("H30 no control character gets into a field, a target, a method or a reason", arguments: controls)
    func h30_controls(_ control: UInt8) {
        let text = "a" + String(Unicode.Scalar(control)) + "b"
        var list = HeaderFields()
        #expect(throws: HTTP1Error(.controlCharacter)) { try list.append("A", text) }
        #expect(throws: HTTP1Error(.malformedFieldName)) { try list.append(text, "a") }
        #expect(throws: HTTP1Error(.controlCharacter)) { try HeaderFields([("A", text)]) }
        var buffer = ByteBuffer()
        #expect(throws: HTTP1Error(.malformedTarget)) {
            try RequestHead(method: "GET", target: text).serialize(into: &buffer)
        }
        #expect(throws: HTTP1Error(.malformedMethod)) {
            try RequestHead(method: text, target: "/").serialize(into: &buffer)
        }
        #expect(throws: HTTP1Error(.malformedReason)) {
            try ResponseHead(status: 200, reason: text).serialize(into: &buffer)
        }
        #expect(buffer.readableBytes == 0)
        #expect(list.count == 0)
    }

    @Test("H30 CR LF is refused, although it is one Swift character")
    func h30_lineEnd() {
        var list = HeaderFields()
        #expect(throws: HTTP1Error(.controlCharacter)) { try list.append("A", "x\r\nB: y") }
        #expect(throws: HTTP1Error(.controlCharacter)) { try list.append("A", "x\r\n") }
        #expect(throws: HTTP1Error(.malformedFieldName)) { try list.append("A\r\n", "x") }
    }

    @Test("A head that could not be read back is not written")
    func parts() {
        var buffer = ByteBuffer()
        for method in ["", "G T", "G\u{E9}"] {
            #expect(throws: HTTP1Error(.malformedMethod)) {
                try RequestHead(method: method, target: "/").serialize(into: &buffer)
            }
        }
        for target in ["", "/a b", "/#", "/\u{E9}"] {
            #expect(throws: HTTP1Error(.malformedTarget)) {
                try RequestHead(method: "GET", target: target).serialize(into: &buffer)
            }
        }
        for status in [0, 99, 1000, -1] {
            #expect(throws: HTTP1Error(.malformedStatus)) { try ResponseHead(status: status).serialize(into: &buffer) }
        }
        #expect(throws: HTTP1Error(.unsupportedVersion)) {
            try ResponseHead(version: HTTPVersion(major: 2, minor: 0), status: 200).serialize(into: &buffer)
        }
        #expect(buffer.readableBytes == 0)
    }
}

@Suite("Bytes outside ASCII")
struct ObsTextTests {
    private static func passedOn(_ value: [UInt8]) throws -> [UInt8] {
        let wire = Array("HTTP/1.1 200 OK\r\nA: ".utf8) + value + Array("\r\n\r\n".utf8)
        let head = try #require(parseResponse([wire]).head)
        var copy = ResponseHead(status: 200, reason: "OK")
        copy.fields.append(contentsOf: head.fields.only { $0.name == "A" })
        #expect(copy.fields == head.fields)
        var buffer = ByteBuffer()
        try copy.serialize(into: &buffer)
        return Array(Array(buffer: buffer).dropFirst(20).dropLast(4))
    }

    @Test(
        "A value leaves with the bytes that came, whether they are UTF-8, Latin-1 or neither",
        arguments: [[0x61, 0xE9, 0x62], [0xC3, 0xA9], [0xFF], [0xC3, 0xA9, 0xE9], [0x80, 0x20, 0x81], []] as [[UInt8]]
    )
    func unchanged(value: [UInt8]) throws {
        #expect(try Self.passedOn(value) == value)
    }

    @Test("A folded value keeps its bytes, with one space for each line end", arguments: [true, false])
    func folded(latinFirst: Bool) throws {
        let (latin, text) = ([0x61, 0xE9] as [UInt8], [0xC3, 0xA9] as [UInt8])
        let (first, second) = latinFirst ? (latin, text) : (text, latin)
        #expect(try Self.passedOn(first + Array("\r\n \t".utf8) + second) == first + [0x20] + second)
    }
}
