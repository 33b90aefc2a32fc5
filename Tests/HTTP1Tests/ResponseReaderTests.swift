import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("The answer to one request")
struct ResponseReaderTests {
    struct Outcome: Equatable, Sendable {
        var events: [String] = []
        var left = ""
        var isFinished = true
        var isPersistent = true
    }

    private static func read(_ method: String, maySwitch: Bool, _ chunks: [[UInt8]]) -> Outcome {
        var (reader, buffer) = (ResponseReader(to: method, maySwitch: maySwitch), ByteBuffer())
        var (outcome, content) = (Outcome(), "")
        func flush() {
            if !content.isEmpty { outcome.events.append("content \(content)") }
            content = ""
        }
        do throws(HTTP1Error) {
            for chunk in chunks {
                buffer.writeBytes(chunk)
                while let event = try reader.next(from: &buffer) {
                    if case .content(let bytes) = event {
                        content += String(buffer: bytes)
                        continue
                    }
                    flush()
                    switch event {
                    case .informational(let head):
                        outcome.events.append("\(head.status)")
                        #expect(!reader.hasBegun)
                    case .head(let head, let framing): outcome.events.append("\(head.status) \(framing)")
                    case .content: break
                    case .end(let trailers):
                        outcome.events.append("end" + trailers.map { " \($0.name)=\($0.value)" }.joined())
                    case .switched(let head): outcome.events.append("switched \(head.status)")
                    }
                }
            }
            flush()
            outcome.left = String(buffer: buffer)
        } catch {
            flush()
            outcome.events.append("error \(error.kind)")
            #expect(throws: error) { try reader.next(from: &buffer) }
        }
        (outcome.isFinished, outcome.isPersistent) = (reader.isFinished, reader.isPersistent)
        #expect(reader.hasBegun == outcome.events.contains { $0.contains(" ") && !$0.hasPrefix("error") })
        return outcome
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = "GET"
        var maySwitch = false
        let input: String
        let expected: Outcome

        init(_ name: String, to method: String = "GET", maySwitch: Bool = false, _ input: String, _ expected: Outcome) {
            (testDescription, self.method, self.maySwitch) = (name, method, maySwitch)
            (self.input, self.expected) = (input, expected)
        }
    }

    static let rows = [
        Row(
            "a length",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP",
            Outcome(events: ["200 length(3)", "content abc", "end"], left: "HTTP")
        ),
        Row(
            "chunks and trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n",
            Outcome(events: ["200 chunked", "content abc", "end X=1"])
        ),
        Row(
            "until the end",
            "HTTP/1.1 200 OK\r\n\r\nabc",
            Outcome(events: ["200 untilClose", "content abc"], isFinished: false, isPersistent: false)
        ),
        Row(
            "informational answers",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            Outcome(events: ["100", "103", "204 none", "end"])
        ),
        Row(
            "HEAD",
            to: "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTTP",
            Outcome(events: ["200 none", "end"], left: "HTTP")
        ),
        Row(
            "HEAD with a coding",
            to: "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Outcome(events: ["200 none", "end"])
        ),
        Row("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Outcome(events: ["304 none", "end"])),
        Row(
            "204 that declares a body",
            "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
            Outcome(events: ["204 none", "end"], left: "abc", isPersistent: false)
        ),
        Row(
            "101 that was asked for",
            maySwitch: true,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\u{1}\u{2}",
            Outcome(events: ["switched 101"], left: "\u{1}\u{2}", isPersistent: false)
        ),
        Row(
            "101 after 103",
            maySwitch: true,
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nx",
            Outcome(events: ["103", "switched 101"], left: "x", isPersistent: false)
        ),
        Row(
            "another answer in place of 101",
            maySwitch: true,
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
            Outcome(events: ["426 length(0)", "end"])
        ),
        Row(
            "101 that was not asked for",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            Outcome(events: ["error malformedStatus"], isFinished: false, isPersistent: false)
        ),
        Row("no HTTP", "SSH-2.0-x\r\n", Outcome(events: ["error notHTTP"], isFinished: false, isPersistent: false)),
        Row(
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            Outcome(events: ["error malformedLength"], isFinished: false, isPersistent: false)
        ),
        Row(
            "a malformed chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
            Outcome(events: ["200 chunked", "content a", "error malformedChunk"], isFinished: false)
        ),
        Row(
            "a malformed trailer",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n: x\r\n\r\n",
            Outcome(events: ["200 chunked", "error malformedFieldName"], isFinished: false)
        ),
    ]

    @Test("An answer is read up to its end and no further, at every split", arguments: rows)
    func table(row: Row) {
        everySplit(of: Array(row.input.utf8)) { chunks, how in
            #expect(Self.read(row.method, maySwitch: row.maySwitch, chunks) == row.expected, "\(how)")
        }
    }

    @Test("16 informational answers pass, and the 17th is an error")
    func informational() {
        func read(_ count: Int) -> [String] {
            let hints = String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: count)
            return Self.read("GET", maySwitch: false, [Array((hints + "HTTP/1.1 204 \r\n\r\n").utf8)]).events
        }
        let limit = ResponseReader.maximumInformational
        #expect(read(limit).suffix(2) == ["204 none", "end"])
        #expect(read(limit + 1).last == "error malformedStatus")
        #expect(read(limit + 1).count == limit + 1)
    }

    @Test(
        "Another request may follow if the answer's end is certain and no side closes",
        arguments: [
            ("HTTP/1.1", "Content-Length: 0\r\n", true),
            ("HTTP/1.1", "Content-Length: 0\r\nConnection: x, Close\r\n", false),
            ("HTTP/1.0", "Content-Length: 0\r\n", false),
            ("HTTP/1.0", "Content-Length: 0\r\nConnection: Keep-Alive\r\n", true),
            ("HTTP/1.0", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", false),
            ("HTTP/1.1", "Transfer-Encoding: chunked\r\n", true),
            ("HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", false), ("HTTP/1.1", "", false),
        ]
    )
    func persistence(version: String, fields: String, isPersistent: Bool) {
        let head = "\(version) 200 OK\r\n\(fields)\r\n"
        #expect(Self.read("GET", maySwitch: false, [Array(head.utf8)]).isPersistent == isPersistent)
    }

    @Test(
        "The connection's end completes an answer without another end, and cuts any other",
        arguments: [
            ("", false), ("HTTP/1.1 200 OK\r\n", false), ("HTTP/1.1 100 Continue\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 200 OK\r\n\r\nabc", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true),
        ]
    )
    func connectionEnd(input: String, isComplete: Bool) throws {
        var (reader, buffer) = (ResponseReader(to: "GET", maySwitch: false), ByteBuffer(string: input))
        while try reader.next(from: &buffer) != nil {}
        #expect(reader.ended() == isComplete)
        #expect(reader.isFinished == isComplete)
    }
}
