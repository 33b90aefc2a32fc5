import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("Bodies of relayed messages")
struct BodyReaderTests {
    /// The result of a body: its content, its trailers, the bytes left, whether it ended, and the error.
    struct Outcome: Equatable, Sendable {
        var content = ""
        var trailers = HeaderFields()
        var left = ""
        var ended = true
        var error: HTTP1Error.Kind?
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let framing: BodyFraming
        let input: String
        let expected: Outcome

        init(_ name: String, _ framing: BodyFraming, _ input: String, _ expected: Outcome) {
            (testDescription, self.framing, self.input, self.expected) = (name, framing, input, expected)
        }

        /// A chunked body that is refused.
        init(_ name: String, _ input: String, _ error: HTTP1Error.Kind = .malformedChunk) {
            self.init(name, .chunked, input, Outcome(ended: false, error: error))
        }
    }

    static func read(_ framing: BodyFraming, _ chunks: [[UInt8]], limits: HeadLimits = .request) -> Outcome {
        var reader = BodyReader(framing, limits: limits)
        var (outcome, buffer) = (Outcome(ended: false), ByteBuffer())
        do throws(HTTP1Error) {
            for chunk in chunks {
                buffer.writeBytes(chunk)
                while let part = try reader.next(from: &buffer) {
                    switch part {
                    case .content(let bytes):
                        #expect(bytes.readableBytes > 0)
                        outcome.content += String(buffer: bytes)
                    case .end(let trailers): (outcome.ended, outcome.trailers) = (true, trailers)
                    }
                }
            }
            outcome.left = String(buffer: buffer)
            #expect(reader.isFinished == outcome.ended)
        } catch {
            outcome.error = error.kind
            #expect(throws: error) { try reader.next(from: &buffer) }
            #expect(!reader.isFinished && !reader.ended())
        }
        return outcome
    }

    static let rows = [
        Row("no body", .none, "GET / HTTP/1.1\r\n", Outcome(left: "GET / HTTP/1.1\r\n")),
        Row("no bytes", .length(0), "x", Outcome(left: "x")),
        Row("a length", .length(3), "abcGET", Outcome(content: "abc", left: "GET")),
        Row("a length that is not reached", .length(4), "abc", Outcome(content: "abc", ended: false)),
        Row("until the end", .untilClose, "0\r\n\r\n", Outcome(content: "0\r\n\r\n", ended: false)),
        Row(
            "chunks, then another message",
            .chunked,
            "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET",
            Outcome(content: "abc0123456789", left: "GET")
        ),
        Row("a size in either case", .chunked, "a\r\n0123456789\r\n0\r\n\r\n", Outcome(content: "0123456789")),
        Row("leading zeros", .chunked, "00000001\r\nx\r\n00000000\r\n\r\n", Outcome(content: "x")),
        Row("extensions", .chunked, "1;a=\"b;\r\"\r\nx\r\n", Outcome(ended: false, error: .malformedChunk)),
        Row("an extension", .chunked, "1;a=\"b;\"\r\nx\r\n0;c\r\n\r\n", Outcome(content: "x")),
        Row("blanks behind a size", .chunked, "1 \t\r\nx\r\n0 ; c\r\n\r\n", Outcome(content: "x")),
        Row("line ends within content", .chunked, "4\r\n\r\n0\r\r\n0\r\n\r\n", Outcome(content: "\r\n0\r")),
        Row("the largest size", .chunked, "FFFFFFFF\r\nab", Outcome(content: "ab", ended: false)),
        Row("chunks without an end", .chunked, "1\r\na\r\n", Outcome(content: "a", ended: false)),
        Row("trailers without an end", .chunked, "0\r\nA: b\r\n", Outcome(ended: false)),
        Row(
            "trailers",
            .chunked,
            "1\r\na\r\n0\r\nX-Sum: 1\r\nhost:\tb \r\n\r\nGET",
            Outcome(content: "a", trailers: fields(("X-Sum", "1"), ("host", "b")), left: "GET")
        ),
        Row("no size", "\r\n"), Row("an empty line first", "\r\n1\r\na\r\n"), Row("a sign", "+1\r\n"),
        Row("a negative size", "-1\r\n"), Row("0x", "0x1\r\na"), Row("nine digits", "000000001\r\n"),
        Row("sixteen digits", "FFFFFFFFFFFFFFFF\r\n"), Row("a blank before the size", " 1\r\n"),
        Row("a blank within the size", "1 1\r\n"), Row("text behind a blank", "1 x\r\n"),
        Row("an underscore", "1_0\r\n"),
        Row("no digit", "g\r\n"), Row("two sizes", "1,1\r\n"), Row("a byte order mark", "\u{FEFF}1\r\n"),
        Row("LF behind the size", "1\na"), Row("CR alone behind the size", "1\ra"), Row("two CR", "1\r\r\n"),
        Row("LF within an extension", "1;a\na\r\n"), Row("CR within an extension", "1;a\rb\r\n"),
        Row("NUL in an extension", "1;\0"), Row("DEL in an extension", "1;\u{7F}"),
        Row("content longer than its size", "1\r\nab"), Row("LF behind the content", "1\r\na\n"),
        Row("CR alone behind the content", "1\r\na\r0"), Row("a missing line end", "1\r\na0\r\n\r\n"),
        Row("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", .foldedLine),
        Row("a folded first trailer", "0\r\n b", .foldedLine),
        Row("a blank before a trailer's colon", "0\r\nA : b\r\n\r\n", .whitespaceBeforeColon),
        Row("a trailer without a colon", "0\r\nA\r\n\r\n", .missingColon),
        Row("a trailer without a name", "0\r\n: b\r\n\r\n", .malformedFieldName),
        Row("LF behind a trailer", "0\r\nA: b\n\r\n", .bareLineFeed),
        Row("LF in place of the end", "0\r\n\n", .bareLineFeed),
        Row("CR within a trailer", "0\r\nA: b\rc\r\n\r\n", .bareCarriageReturn),
        Row("CR CR LF at the end", "0\r\n\r\r\n", .bareCarriageReturn),
        Row("NUL in a trailer", "0\r\nA: \0\r\n\r\n", .controlCharacter),
    ]

    @Test("Content, trailers and what follows are told apart at every split", arguments: rows)
    func table(row: Row) {
        everySplit(of: Array(row.input.utf8)) { chunks, how in
            var outcome = Self.read(row.framing, chunks)
            // The content before an error may be returned or not.
            if outcome.error != nil { outcome.content = row.expected.content }
            #expect(outcome == row.expected, "\(how)")
        }
    }

    @Test("A chunk's line may have 1,024 bytes with the line end before it, and not one more")
    func chunkLine() {
        let limit = BodyReader.maximumChunkLine
        func line(_ count: Int) -> String { "1;" + String(repeating: "x", count: count - 4) + "\r\n" }
        let first = [(limit, nil), (limit + 1, HTTP1Error.Kind.malformedChunk)]
        for (count, error) in first {
            everySplitOfTwo(line(count) + "a") { #expect(Self.read(.chunked, $0).error == error, "\(count)") }
            everySplitOfTwo("1\r\na\r\n" + line(count - 2)) {
                #expect(Self.read(.chunked, $0).error == error, "later \(count)")
            }
        }
        let blanks = "1" + String(repeating: " ", count: limit)
        #expect(Self.read(.chunked, [Array(blanks.utf8)]).error == .malformedChunk)
    }

    private func everySplitOfTwo(_ text: String, _ body: ([[UInt8]]) -> Void) {
        body([Array(text.utf8)])
        body(text.utf8.map { [$0] })
    }

    @Test("Trailers have the limits of a head: bytes, fields and lines, and each is refused one past it")
    func trailerLimits() {
        let limits = HeadLimits(maximumBytes: 32, maximumFields: 3, maximumLineBytes: 20)
        func read(_ trailers: String) -> [HTTP1Error.Kind?] {
            let bytes = Array("0\r\n\(trailers)".utf8)
            return [[bytes], bytes.map { [$0] }].map { Self.read(.chunked, $0, limits: limits).error }
        }
        func line(_ count: Int) -> String { "A:" + String(repeating: "x", count: count - 2) + "\r\n" }
        #expect(read("A:1\r\nB:2\r\nC:3\r\n\r\n") == [nil, nil])
        #expect(read("A:1\r\nB:2\r\nC:3\r\nD:4\r\n\r\n") == [.tooManyFields, .tooManyFields])
        #expect(read(line(20) + "\r\n") == [nil, nil])
        #expect(read(line(21) + "\r\n") == [.lineTooLong, .lineTooLong])
        #expect(read(line(18) + line(8) + "\r\n") == [nil, nil])
        #expect(read(line(18) + line(9) + "\r\n") == [.headTooLarge, .headTooLarge])
    }

    @Test("H20 small chunks and long trailers that come byte by byte are read")
    func trickle() {
        let chunks = String(repeating: "1\r\na\r\n", count: 10_000)
        let trailers = (0..<60).map { "F\($0): \(String(repeating: "x", count: 250))\r\n" }.joined()
        let outcome = Self.read(.chunked, Array("\(chunks)0\r\n\(trailers)\r\nrest".utf8).map { [$0] })
        #expect(outcome.content.utf8.count == 10_000)
        #expect(outcome.trailers.count == 60 && outcome.left == "rest" && outcome.ended)
    }

    @Test(
        "The connection's end completes a body that has all its bytes, or has no other end",
        arguments: [
            (BodyFraming.none, "", true), (.length(0), "", true), (.length(2), "ab", true), (.length(3), "ab", false),
            (.untilClose, "", true), (.untilClose, "ab", true), (.chunked, "", false),
            (.chunked, "1\r\na\r\n0\r\n", false),
            (.chunked, "1\r\na\r\n0\r\n\r\n", true),
        ]
    )
    func connectionEnd(framing: BodyFraming, input: String, isComplete: Bool) throws {
        var (reader, buffer) = (BodyReader(framing), ByteBuffer(string: input))
        var isDone = false
        while !isDone {
            switch try reader.next(from: &buffer) {
            case .content: break
            case .end, nil: isDone = true
            }
        }
        #expect(reader.ended() == isComplete)
        #expect(reader.isFinished == isComplete)
        var more = ByteBuffer(string: "more")
        if isComplete { #expect(try reader.next(from: &more) == nil) }
    }
}
