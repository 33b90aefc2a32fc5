import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("Discarded bodies")
struct BodyDrainTests {
    /// The result of a body: whether it finished, the collected bytes, the bytes left, and the error.
    struct Outcome: Equatable, Sendable {
        var finished = false
        var collected = ""
        var leftover = ""
        var error: HTTP1Error.Kind?
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var head: ResponseHead
        var body: String
        var expected: Outcome
        var testDescription: String { name }

        init(_ name: String, _ pairs: [(String, String)], _ body: String, _ expected: Outcome, status: Int = 407) {
            self.name = name
            self.body = body
            self.expected = expected
            head = ResponseHead(status: status)
            for (name, value) in pairs {
                do throws(HTTP1Error) {
                    try head.fields.append(name, value)
                } catch {
                    Issue.record("not a field: \(name)")
                }
            }
        }
    }

    static let chunked = [("Transfer-Encoding", "chunked")]

    static func done(_ collected: String = "", _ leftover: String = "") -> Outcome {
        Outcome(finished: true, collected: collected, leftover: leftover)
    }

    static let rows: [Row] = [
        Row("length", [("Content-Length", "3")], "abcHTTP", done("abc", "HTTP")),
        Row("length not reached", [("Content-Length", "4")], "abc", Outcome(collected: "abc")),
        Row("length zero", [("Content-Length", "0")], "x", done("", "x")),
        Row("equal lengths", [("Content-Length", "1, 1"), ("content-length", "1")], "ab", done("a", "b")),
        Row("no body in 204", [("Content-Length", "3")], "abc", done("", "abc"), status: 204),
        Row("no body in 304", [], "abc", done("", "abc"), status: 304),
        Row("no body in 103", chunked, "abc", done("", "abc"), status: 103),
        Row("until close", [], "abc", Outcome(collected: "abc")),
        Row("other coding until close", [("Transfer-Encoding", "gzip")], "ab", Outcome(collected: "ab")),
        Row("chunked", chunked, "3\r\nabc\r\n0\r\n\r\nrest", done("abc", "rest")),
        Row("chunked wins over length", chunked + [("Content-Length", "1")], "1\r\na\r\n0\r\n\r\n", done("a")),
        Row("chunked last", [("Transfer-Encoding", "gzip, Chunked")], "0\r\n\r\n", done()),
        Row("sizes in hex", chunked, "00A\r\n0123456789\r\n000\r\n\r\n", done("0123456789")),
        Row("extensions", chunked, "1;a=\"b\"\r\nx\r\n1 ; c\r\ny\r\n0;z\r\n\r\n", done("xy")),
        Row("trailers", chunked, "0\r\nA: b\r\nC: d\r\n\r\nrest", done("", "rest")),
        Row("no size", chunked, "\r\n", Outcome(error: .malformedChunk)),
        Row("size with a sign", chunked, "+1\r\n", Outcome(error: .malformedChunk)),
        Row("size with 0x", chunked, "0x1\r\n", Outcome(error: .malformedChunk)),
        Row("nine digits", chunked, "000000001\r\n", Outcome(error: .malformedChunk)),
        Row("bare LF after the size", chunked, "1\na", Outcome(error: .malformedChunk)),
        Row("chunk longer than its size", chunked, "1\r\nab", Outcome(collected: "a", error: .malformedChunk)),
        Row("chunk ends with LF", chunked, "1\r\na\n", Outcome(collected: "a", error: .malformedChunk)),
        Row("NUL in an extension", chunked, "1;\0", Outcome(error: .malformedChunk)),
        Row("bare LF in the trailer", chunked, "0\r\n\n", Outcome(error: .malformedChunk)),
        Row("huge size costs nothing", chunked, "FFFFFFFF\r\nab", Outcome(collected: "ab")),
    ]

    private func drain(_ chunks: [[UInt8]], _ head: ResponseHead, limit: Int = 65536) -> Outcome {
        var outcome = Outcome()
        do throws(HTTP1Error) {
            var drain = try BodyDrain(response: head, limit: limit)
            for chunk in chunks {
                var buffer = ByteBuffer(bytes: chunk)
                do throws(HTTP1Error) {
                    outcome.finished = try drain.receive(&buffer)
                } catch {
                    outcome.error = error.kind
                    outcome.collected = String(buffer: drain.collected)
                    return outcome
                }
                outcome.leftover += String(buffer: buffer)
                #expect(outcome.finished == drain.isFinished)
            }
            outcome.collected = String(buffer: drain.collected)
        } catch {
            outcome.error = error.kind
        }
        return outcome
    }

    @Test("A body ends as its framing defines, at every split", arguments: rows)
    func framing(_ row: Row) {
        everySplit(of: Array(row.body.utf8)) { chunks, how in
            #expect(drain(chunks, row.head) == row.expected, "\(how)")
        }
    }

    @Test(
        "H16 a length that is not a decimal number, or two that differ, are refused",
        arguments: [
            ["+5"], ["-5"], ["0x5"], ["5, 6"], ["5", "6"], ["5,"], [""], ["5 5"], ["99999999999999999999"], ["five"],
        ]
    )
    func h16_lengths(_ values: [String]) throws {
        var head = ResponseHead(status: 407)
        for value in values { try head.fields.append("Content-Length", value) }
        #expect(throws: HTTP1Error(.malformedLength)) { try BodyDrain(response: head) }
    }

    @Test("The limit counts raw bytes: a body at the limit passes, one byte more does not")
    func rawLimit() {
        func outcome(_ pairs: [(String, String)], _ body: String, _ limit: Int) -> Outcome {
            drain([Array(body.utf8)], Row("", pairs, body, Outcome()).head, limit: limit)
        }
        #expect(outcome([("Content-Length", "5")], "abcde", 5).finished)
        #expect(outcome([("Content-Length", "6")], "abcdef", 5) == Outcome(collected: "abcde", error: .bodyTooLarge))
        #expect(outcome([], "abcde", 5).error == nil)
        #expect(outcome([], "abcdef", 5).error == .bodyTooLarge)
        let body = "1;\(String(repeating: "x", count: 100))\r\na\r\n0\r\n\r\n"
        #expect(outcome(Self.chunked, body, body.utf8.count).finished)
        #expect(outcome(Self.chunked, body, body.utf8.count - 1).error == .bodyTooLarge)
        #expect(outcome(Self.chunked, body, 50) == Outcome(error: .bodyTooLarge))
    }

    @Test("Only the first bytes of a body are collected")
    func collected() {
        let body = String(repeating: "x", count: 10_000)
        let outcome = drain([Array(body.utf8)], ResponseHead(status: 403))
        #expect(outcome.collected.utf8.count == BodyDrain.collectedLimit)
    }

    @Test("The end of the connection completes a body without a length, and truncates the others")
    func ended() throws {
        var open = try BodyDrain(response: ResponseHead(status: 403))
        #expect(open.endsWithConnection)
        let openIsWhole = open.ended()
        #expect(openIsWhole)
        #expect(open.isFinished)
        var head = ResponseHead(status: 403, fields: fields(("Content-Length", "4")))
        var cut = try BodyDrain(response: head)
        #expect(!cut.endsWithConnection)
        #expect(cut.declaredLength == 4)
        let cutIsWhole = cut.ended()
        #expect(!cutIsWhole)
        var buffer = ByteBuffer(string: "abcd")
        #expect(throws: HTTP1Error(.unexpectedEnd)) { try cut.receive(&buffer) }
        head.fields = fields(("Transfer-Encoding", "chunked"))
        var chunked = try BodyDrain(response: head)
        let chunkedIsWhole = chunked.ended()
        #expect(!chunkedIsWhole)
        var whole = try BodyDrain(response: ResponseHead(status: 204))
        let wholeIsWhole = whole.ended()
        #expect(wholeIsWhole)
    }
}
