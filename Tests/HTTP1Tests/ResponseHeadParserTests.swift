import NIOCore
import TestSupport
import Testing

@testable import HTTP1

@Suite("Heads of answers")
struct ResponseHeadParserTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var expected: Parsed<ResponseHead>
        var testDescription: String { name }

        init(_ name: String, _ text: String, _ head: ResponseHead, leftover: String = "") {
            self.name = name
            bytes = Array(text.utf8)
            expected = Parsed(head: head, leftover: Array(leftover.utf8))
        }

        init(_ name: String, _ text: String, _ kind: HTTP1Error.Kind) {
            self.name = name
            bytes = Array(text.utf8)
            expected = Parsed(error: kind)
        }
    }

    static let ok = ResponseHead(status: 200, reason: "OK", fields: fields(("A", "1")))

    static let accepted: [Row] = [
        Row("plain", "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n", ok),
        Row("R6 leftovers stay", "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n\0\n\r", ok, leftover: "\0\n\r"),
        Row("bare LF", "HTTP/1.1 200 OK\nA: 1\n\n", ok),
        Row("mixed line ends", "HTTP/1.1 200 OK\r\nA: 1\n\r\n", ok),
        Row(
            "HTTP/1.0",
            "HTTP/1.0 200 Connection established\r\n\r\n",
            ResponseHead(version: .http1_0, status: 200, reason: "Connection established")
        ),
        Row("no reason", "HTTP/1.1 200 \r\n\r\n", ResponseHead(status: 200)),
        Row("no reason and no space", "HTTP/1.1 200\r\n\r\n", ResponseHead(status: 200)),
        Row("no reason, bare LF", "HTTP/1.1 407\n\n", ResponseHead(status: 407)),
        Row("reason with a tab", "HTTP/1.1 999 a\tb \u{E9} \r\n\r\n", ResponseHead(status: 999, reason: "a\tb \u{E9}")),
        Row(
            "R13 only the status line counts",
            "HTTP/1.1 403 HTTP/1.1 200 OK\r\n\r\n",
            ResponseHead(status: 403, reason: "HTTP/1.1 200 OK")
        ),
        Row("obs-fold in an answer is one space", "HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n", folded("1 2")),
        Row(
            "blanks on both sides of the line end",
            "HTTP/1.1 200 OK\r\nA: 1 \t\r\n\t  2 \n \t3\r\nB: 4\r\n\r\n",
            ResponseHead(status: 200, reason: "OK", fields: fields(("A", "1 2 3"), ("B", "4")))
        ),
        Row("a value that begins in its second line", "HTTP/1.1 200 OK\r\nA:\r\n 1\r\n\r\n", folded("1")),
        Row("folded lines of blanks", "HTTP/1.1 200 OK\nA: 1\n \n\t\t\n 2\n \n\n", folded("1 2")),
        Row("a folded line is not a field", "HTTP/1.1 200 OK\nA: 1\n B: 2\n\n", folded("1 B: 2")),
        Row("blanks before a colon", "HTTP/1.1 200 OK\r\nA \t : 1\r\n\r\n", folded("1")),
        Row("a blank before a colon, and no value", "HTTP/1.1 200 OK\r\nA :\r\n\r\n", folded("")),
        Row("only the first colon counts", "HTTP/1.1 200 OK\r\nA : : 1\r\n\r\n", folded(": 1")),
    ]

    static func folded(_ value: String) -> ResponseHead {
        ResponseHead(status: 200, reason: "OK", fields: fields(("A", value)))
    }

    static let refused: [Row] = [
        Row("R14 SSH banner", "S", .notHTTP),
        Row("R14 TLS alert", "\u{15}", .notHTTP),
        Row("R14 page without a head", "<", .notHTTP),
        Row("empty line", "\r", .notHTTP),
        Row("lower case", "h", .notHTTP),
        Row("ICY", "I", .notHTTP),
        Row("ended in the prefix", "HTT\r", .notHTTP),
        Row("HTTP/2", "HTTP/2 ", .malformedVersion),
        Row("HTTP/2.0", "HTTP/2.0 ", .unsupportedVersion),
        Row("no version", "HTTP/x", .malformedVersion),
        Row("no status", "HTTP/1.1\r", .malformedStartLine),
        Row("two-digit status", "HTTP/1.1 20 ", .malformedStatus),
        Row("four-digit status", "HTTP/1.1 2000", .malformedStatus),
        Row("status that begins with zero", "HTTP/1.1 0", .malformedStatus),
        Row("short status", "HTTP/1.1 20\r", .malformedStatus),
        Row("signed status", "HTTP/1.1 +", .malformedStatus),
        Row("NUL in the reason", "HTTP/1.1 200 \0", .controlCharacter),
        Row("NUL in a value", "HTTP/1.1 200 OK\r\nA: \0", .controlCharacter),
        Row("a folded line before any field", "HTTP/1.1 200 OK\r\n ", .foldedLine),
        Row("a tab before any field", "HTTP/1.1 200 OK\n\t", .foldedLine),
        Row("NUL in a folded line", "HTTP/1.1 200 OK\r\nA: 1\r\n 2\0", .controlCharacter),
        Row("bare CR in a folded line", "HTTP/1.1 200 OK\r\nA: 1\r\n 2\r3", .bareCarriageReturn),
        Row("two words before a colon", "HTTP/1.1 200 OK\r\nA B", .malformedFieldName),
        Row("no name before the colon", "HTTP/1.1 200 OK\r\nA: 1\r\n:", .malformedFieldName),
        Row("a name, blanks and no colon", "HTTP/1.1 200 OK\r\nA \r", .missingColon),
        Row("bare CR", "HTTP/1.1 200 OK\rA", .bareCarriageReturn),
        Row("no colon, bare LF", "HTTP/1.1 200 OK\nA\n", .missingColon),
    ]

    @Test(
        "An answer is parsed, or refused at its first illegal byte, at every split",
        arguments: accepted + refused
    )
    func splitsDoNotMatter(_ row: Row) {
        everySplit(of: row.bytes) { chunks, how in
            #expect(parseResponse(chunks) == row.expected, "\(how)")
        }
    }

    @Test("An answer is not refused before its first illegal byte", arguments: refused)
    func failsAtOnce(_ row: Row) {
        #expect(parseResponse([row.bytes.dropLast()]).error == nil)
    }

    @Test("Bytes that are not UTF-8 are read as Latin-1")
    func latin1() {
        let bytes = Array("HTTP/1.1 200 caf".utf8) + [0xE9, 0x0A] + Array("A: ".utf8) + [0xFC, 0x0A, 0x0A]
        let expected = ResponseHead(status: 200, reason: "caf\u{E9}", fields: fields(("A", "\u{FC}")))
        everySplit(of: bytes) { chunks, how in
            #expect(parseResponse(chunks).head == expected, "\(how)")
        }
    }

    @Test("One parser reads an interim answer and the final one")
    func interim() throws {
        var parser = ResponseHeadParser()
        var buffer = ByteBuffer(string: "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest")
        #expect(try parser.receive(&buffer)?.status == 103)
        #expect(try parser.receive(&buffer)?.status == 200)
        #expect(String(buffer: buffer) == "rest")
    }

    @Test("H20 a value of ten thousand folded lines is one value, and costs linear work")
    func h20_folds() throws {
        let bytes = Array("HTTP/1.1 200 OK\nA: x\n\(String(repeating: " y\n", count: 10_000))\n".utf8)
        var parser = ResponseHeadParser()
        var buffer = ByteBuffer(bytes: bytes)
        let head = try parser.receive(&buffer)
        #expect(head?.fields.first("A") == "x" + String(repeating: " y", count: 10_000))
        #expect(head?.fields.count == 1)
        #expect(parser.bytesExamined == bytes.count)
    }

    @Test("H20 a head in single bytes costs linear work")
    func h20_linearWork() throws {
        let lines = (0..<500).map { "Field-\($0): \(String(repeating: "v", count: 60))\r\n" }.joined()
        let bytes = Array("HTTP/1.1 200 OK\r\n\(lines)\r\n".utf8)
        var parser = ResponseHeadParser()
        var head: ResponseHead?
        for byte in bytes {
            var buffer = ByteBuffer(bytes: [byte])
            head = try parser.receive(&buffer)
        }
        #expect(head?.fields.count == 500)
        #expect(parser.bytesExamined == bytes.count)
    }
}
