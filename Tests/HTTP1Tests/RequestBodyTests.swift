import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("Bodies of forwarded requests")
struct RequestBodyTests {
    /// The result of a body: the forwarded bytes, the bytes left, whether it was complete, and the error.
    struct Outcome: Equatable, Sendable {
        var taken = ""
        var left = ""
        var finished = true
        var error: HTTP1Error.Kind?
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fields: [(String, String)]
        let input: String
        let expected: Outcome

        init(_ name: String, _ fields: [(String, String)], _ input: String, _ expected: Outcome) {
            (testDescription, self.fields, self.input, self.expected) = (name, fields, input, expected)
        }
    }

    static let chunked = [("Transfer-Encoding", "chunked")]

    static let rows = [
        Row("no body, and a second request", [], "GET / HTTP/1.1\r\n", Outcome(left: "GET / HTTP/1.1\r\n")),
        Row("a length, and a second request", [("Content-Length", "3")], "abcGET", Outcome(taken: "abc", left: "GET")),
        Row("a length that is not reached", [("Content-Length", "4")], "abc", Outcome(taken: "abc", finished: false)),
        Row("no bytes", [("Content-Length", "0")], "x", Outcome(left: "x")),
        Row(
            "chunks, and a second request",
            chunked,
            "3\r\nabc\r\nA;q=1\r\n0123456789\r\n0\r\n\r\nGET",
            Outcome(taken: "3\r\nabc\r\nA;q=1\r\n0123456789\r\n0\r\n\r\n", left: "GET")
        ),
        Row(
            "trailers are dropped",
            chunked,
            "1\r\na\r\n0\r\nX-Forwarded-For: 127.0.0.1\r\nHost: b\r\n\r\nrest",
            Outcome(taken: "1\r\na\r\n0\r\n\r\n", left: "rest")
        ),
        Row("chunks without an end", chunked, "1\r\na\r\n", Outcome(taken: "1\r\na\r\n", finished: false)),
        Row("an invalid chunk", chunked, "x", Outcome(left: "", finished: false, error: .malformedChunk)),
        Row("a chunk that is too long", chunked, "1\r\nab", Outcome(finished: false, error: .malformedChunk)),
    ]

    @Test("the body's bytes are consumed, and the bytes after them stay", arguments: rows)
    func table(row: Row) throws {
        try everySplit(of: Array(row.input.utf8)) { chunks, how in
            var head = RequestHead(method: "POST", target: "/")
            for (name, value) in row.fields { try head.fields.append(name, value) }
            var body = try RequestBody(of: head)
            var buffer = ByteBuffer()
            var outcome = Outcome()
            do throws(HTTP1Error) {
                for chunk in chunks {
                    buffer.writeBytes(chunk)
                    outcome.taken += String(buffer: try body.take(from: &buffer))
                }
                outcome.left = String(buffer: buffer)
            } catch {
                outcome.error = error.kind
                #expect(throws: HTTP1Error.self) { try body.take(from: &buffer) }
                // The bytes consumed before the error depend on the chunks.
                outcome.taken = row.expected.taken
            }
            outcome.finished = body.isFinished
            #expect(outcome == row.expected, "\(how)")
        }
    }

    @Test(
        "a body whose end could be read in two ways is refused",
        arguments: [
            [("Content-Length", "4"), ("Transfer-Encoding", "chunked")],
            [("Content-Length", "4"), ("Content-Length", "4")],
            [("Content-Length", "4, 4")], [("Content-Length", "+4")], [("Content-Length", "")],
            [("Content-Length", "99999999999999999999")], [("Transfer-Encoding", "gzip, chunked")],
            [("Transfer-Encoding", "identity")],
            [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        ]
    )
    func ambiguous(fields: [(String, String)]) throws {
        var head = RequestHead(method: "POST", target: "/")
        for (name, value) in fields { try head.fields.append(name, value) }
        #expect(throws: HTTP1Error.self) { try RequestBody(of: head) }
        guard fields.count == 1, fields[0].1 == "identity" else { return }
        var old = RequestHead(method: "POST", target: "/", version: .http1_0)
        try old.fields.append("Transfer-Encoding", "chunked")
        #expect(throws: HTTP1Error.self) { try RequestBody(of: old) }
    }
}
