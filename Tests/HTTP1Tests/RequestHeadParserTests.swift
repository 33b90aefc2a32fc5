import NIOCore
import TestSupport
import Testing

@testable import HTTP1

@Suite("Request heads")
struct RequestHeadParserTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var expected: Parsed<RequestHead>
        var testDescription: String { name }

        init(_ name: String, _ bytes: [UInt8], _ head: RequestHead, leftover: String = "") {
            self.name = name
            self.bytes = bytes
            expected = Parsed(head: head, leftover: Array(leftover.utf8))
        }

        init(_ name: String, _ bytes: [UInt8], _ kind: HTTP1Error.Kind) {
            self.name = name
            self.bytes = bytes
            expected = Parsed(error: kind)
        }

        init(_ name: String, _ text: String, _ kind: HTTP1Error.Kind) {
            self.init(name, Array(text.utf8), kind)
        }
    }

    static let plain = RequestHead(method: "GET", target: "/", fields: fields(("Host", "a")))

    static let accepted: [Row] = [
        Row("plain", request(), plain),
        Row("H21 pipelined bytes stay in the buffer", request() + Array("GET".utf8), plain, leftover: "GET"),
        Row("H11 one empty line before", Array("\r\n".utf8) + request(), plain),
        Row(
            "H1 lower-case method is a token; the caller answers 405",
            request(line: "get / HTTP/1.1"),
            RequestHead(method: "get", target: "/", fields: fields(("Host", "a")))
        ),
        Row(
            "H2 HTTP/1.0 is read; the caller decides",
            request(line: "GET / HTTP/1.0"),
            RequestHead(method: "GET", target: "/", version: .http1_0, fields: fields(("Host", "a")))
        ),
        Row(
            "H7 the target is not changed",
            request(line: "GET //a/../%2e?x?y HTTP/1.1"),
            RequestHead(method: "GET", target: "//a/../%2e?x?y", fields: fields(("Host", "a")))
        ),
        Row(
            "H9 underscore is another field",
            request("Sec_WebSocket_Key: x\r\n"),
            RequestHead(method: "GET", target: "/", fields: fields(("Sec_WebSocket_Key", "x")))
        ),
        Row(
            "H12 fields that occur twice are both kept",
            request("A: 1\r\na: 2\r\n"),
            RequestHead(method: "GET", target: "/", fields: fields(("A", "1"), ("a", "2")))
        ),
        Row(
            "white space around the value",
            request("A:\t 1 \tb \t\r\nB:\r\nC: \r\nD:x\r\n"),
            RequestHead(
                method: "GET",
                target: "/",
                fields: fields(("A", "1 \tb"), ("B", ""), ("C", ""), ("D", "x"))
            )
        ),
        Row(
            "obs-text that is not UTF-8 is Latin-1",
            Array("GET / HTTP/1.1\r\nA: caf".utf8) + [0xE9, 0x0D, 0x0A, 0x0D, 0x0A],
            RequestHead(method: "GET", target: "/", fields: fields(("A", "caf\u{E9}")))
        ),
        Row(
            "UTF-8 in a value",
            request("A: caf\u{E9}\r\n"),
            RequestHead(method: "GET", target: "/", fields: fields(("A", "caf\u{E9}")))
        ),
        Row("no fields", request(""), RequestHead(method: "GET", target: "/")),
    ]

    static let refused: [Row] = [
        Row("H24 TLS ClientHello", [0x16], .notHTTP),
        Row("H24 random byte", [0xFF], .notHTTP),
        Row("H24 NUL", [0x00], .notHTTP),
        Row("H24 SSH banner", "SSH-2.0-OpenSSH_9.2\r", .malformedStartLine),
        Row("H24 SSH banner with a comment", "SSH-2.0-OpenSSH_9.2 Debian\r", .malformedStartLine),
        Row("H1 method that is not a token", "G/", .notHTTP),
        Row("space first", " ", .notHTTP),
        Row("H2 HTTP/0.9", "GET /\r", .malformedStartLine),
        Row("H2 preface", "PRI * HTTP/2.0\r", .unsupportedVersion),
        Row("H2 HTTP/2.0", "GET / HTTP/2.0\r", .unsupportedVersion),
        Row("H2 HTTP/0.9 spelt out", "GET / HTTP/0.9\r", .unsupportedVersion),
        Row("H2 trailing space", "GET / HTTP/1.1 ", .malformedVersion),
        Row("H2 lower case", "GET / h", .malformedVersion),
        Row("H2 two digits", "GET / HTTP/1.10", .malformedVersion),
        Row("H2 digit missing", "GET / HTTP/1.\r", .malformedVersion),
        Row("H2 comma", "GET / HTTP/1,", .malformedVersion),
        Row("H6 empty target", "GET  ", .malformedTarget),
        Row("H6 no target", "GET \r", .malformedStartLine),
        Row("H6 space in the target", "GET /a b", .malformedVersion),
        Row("H6 tab in the target", "GET /a\t", .malformedTarget),
        Row("H6 fragment", "GET /a#", .malformedTarget),
        Row("H6 not ASCII", Array("GET /".utf8) + [0xC3], .malformedTarget),
        Row("H6 DEL", "GET /\u{7F}", .malformedTarget),
        Row("H6 NUL", "GET /\0", .malformedTarget),
        Row("H8 obs-fold", "GET / HTTP/1.1\r\nA: 1\r\n ", .foldedLine),
        Row("H8 obs-fold with a tab", "GET / HTTP/1.1\r\nA: 1\r\n\t", .foldedLine),
        Row("H8 white space before the first field", "GET / HTTP/1.1\r\n ", .foldedLine),
        Row("H9 space before colon", "GET / HTTP/1.1\r\nHost ", .whitespaceBeforeColon),
        Row("H9 tab before colon", "GET / HTTP/1.1\r\nHost\t", .whitespaceBeforeColon),
        Row("H9 empty name", "GET / HTTP/1.1\r\n:", .malformedFieldName),
        Row("H9 name with a slash", "GET / HTTP/1.1\r\nHo/", .malformedFieldName),
        Row("H9 name with NUL", "GET / HTTP/1.1\r\nHo\0", .malformedFieldName),
        Row("H9 name that is not ASCII", Array("GET / HTTP/1.1\r\nH".utf8) + [0xC3], .malformedFieldName),
        Row("no colon", "GET / HTTP/1.1\r\nHost\r", .missingColon),
        Row("H10 bare LF after the request line", "GET / HTTP/1.1\n", .bareLineFeed),
        Row("H10 bare LF after a field", "GET / HTTP/1.1\r\nA: 1\n", .bareLineFeed),
        Row("H10 bare LF at the end", "GET / HTTP/1.1\r\nA: 1\r\n\n", .bareLineFeed),
        Row("H10 bare LF first", "\n", .bareLineFeed),
        Row("H10 bare CR in a value", "GET / HTTP/1.1\r\nA: 1\r2", .bareCarriageReturn),
        Row("H10 CR CR LF", "GET / HTTP/1.1\r\nA: 1\r\r", .bareCarriageReturn),
        Row("H10 NUL", "GET / HTTP/1.1\r\nA: \0", .controlCharacter),
        Row("H10 ESC", "GET / HTTP/1.1\r\nA: \u{1B}", .controlCharacter),
        Row("H10 DEL", "GET / HTTP/1.1\r\nA: \u{7F}", .controlCharacter),
        Row("H11 two empty lines", "\r\n\r\n", .leadingEmptyLines),
    ]

    @Test(
        "A request is parsed, or refused at its first illegal byte, at every split",
        arguments: accepted + refused
    )
    func splitsDoNotMatter(_ row: Row) {
        everySplit(of: row.bytes) { chunks, how in
            #expect(parseRequest(chunks) == row.expected, "\(how)")
        }
    }

    @Test("A request is not refused before its first illegal byte", arguments: refused)
    func failsAtOnce(_ row: Row) {
        #expect(parseRequest([row.bytes.dropLast()]).error == nil)
    }

    @Test("A parser reads the next head, but none after an error")
    func nextHead() throws {
        var parser = RequestHeadParser()
        var buffer = ByteBuffer(bytes: request() + request(line: "GET /2 HTTP/1.1"))
        #expect(try parser.receive(&buffer)?.target == "/")
        #expect(try parser.receive(&buffer)?.target == "/2")
        #expect(try parser.receive(&buffer) == nil)
        buffer.writeBytes([0x16])
        #expect(throws: HTTP1Error(.notHTTP)) { try parser.receive(&buffer) }
        var good = ByteBuffer(bytes: request())
        #expect(throws: HTTP1Error(.notHTTP)) { try parser.receive(&good) }
    }

    @Test("A caller may append to one buffer")
    func oneBuffer() throws {
        var parser = RequestHeadParser()
        var buffer = ByteBuffer()
        for byte in request().dropLast() {
            buffer.writeInteger(byte)
            #expect(try parser.receive(&buffer) == nil)
        }
        buffer.writeInteger(request().last ?? 0)
        buffer.writeString("rest")
        #expect(try parser.receive(&buffer) == Self.plain)
        #expect(String(buffer: buffer) == "rest")
    }

    @Test("H20 a head in single bytes costs linear work")
    func h20_linearWork() throws {
        let bytes = request("Host: a\r\nX: \(String(repeating: "x", count: 8000))\r\n")
        var parser = RequestHeadParser()
        var buffer = ByteBuffer()
        var head: RequestHead?
        for byte in bytes {
            buffer.writeInteger(byte)
            head = try parser.receive(&buffer)
        }
        #expect(head?.fields.count == 2)
        #expect(parser.bytesExamined == bytes.count)
    }

    @Test("Each error has a status for the answer")
    func statuses() {
        #expect(HTTP1Error(.unsupportedVersion).status == 505)
        #expect(HTTP1Error(.startLineTooLong).status == 414)
        #expect(HTTP1Error(.headTooLarge).status == 431)
        #expect(HTTP1Error(.tooManyFields).status == 431)
        #expect(HTTP1Error(.lineTooLong).status == 431)
        #expect(HTTP1Error(.foldedLine).status == 400)
        #expect(HTTP1Error(.timeout).status == 408)
        #expect(HTTP1Error(.methodNotAllowed).status == 405)
        #expect(HTTP1Error(.expectationFailed).status == 417)
    }
}
