import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("Requests of one connection")
struct RequestReaderTests {
    /// The events as lines, with adjacent content as one, then the error.
    private static func events(_ chunks: [[UInt8]], limits: HeadLimits = .request) -> [String] {
        var (reader, buffer) = (RequestReader(limits: limits), ByteBuffer())
        var (lines, content) = ([String](), "")
        func flush() {
            if !content.isEmpty { lines.append("content \(content)") }
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
                    case .head(let head, let framing):
                        #expect(!reader.isBetweenRequests)
                        lines.append("\(head.method) \(head.target) \(framing)")
                    case .content: break
                    case .end(let trailers):
                        #expect(reader.isBetweenRequests)
                        lines.append("end" + trailers.map { " \($0.name)=\($0.value)" }.joined())
                    }
                }
            }
            flush()
        } catch {
            flush()
            lines.append("error \(error.kind)")
            #expect(throws: error) { try reader.next(from: &buffer) }
            #expect(!reader.isBetweenRequests)
        }
        return lines
    }

    static let chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test(
        "Pipelined requests are read one by one, at every split",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.0\r\n\r\n", ["GET / none", "end", "GET /b none", "end"]),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\(chunked)2\r\nde\r\n1\r\nf\r\n0\r\nX: 1\r\n\r\n\r\nGET /d HTTP/1.1\r\n\r\n",
                [
                    "POST / length(3)", "content abc", "end", "POST /c chunked", "content def", "end X=1",
                    "GET /d none", "end",
                ]
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /", ["POST / length(0)", "end"]),
            ("GET / HTTP/1.1\r\n\r\n\r\n\r\nGET", ["GET / none", "end", "error leadingEmptyLines"]),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdGET", ["POST / length(3)", "content abc", "end"]),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\0",
                ["POST / length(3)", "content abc", "end", "error notHTTP"]
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                ["error duplicateField(\"Content-Length\")"]
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
                ["error malformedLength"]
            ),
            (
                chunked + "1\r\na\r\n0\r\nA : b\r\n\r\n",
                ["POST /c chunked", "content a", "error whitespaceBeforeColon"]
            ),
            (chunked + "g\r\n", ["POST /c chunked", "error malformedChunk"]),
            ("GET / HTTP/2.0\r\n\r\n", ["error unsupportedVersion"]),
        ]
    )
    func pipelined(input: String, expected: [String]) {
        everySplit(of: Array(input.utf8)) { chunks, how in
            #expect(Self.events(chunks) == expected, "\(how)")
        }
    }

    @Test("Each head and each trailer section has the limits anew, and one past them is refused")
    func limits() {
        let limits = HeadLimits(maximumBytes: 72, maximumFields: 2, maximumLineBytes: 40)
        func trailers(_ count: Int) -> String { "0\r\n" + String(repeating: "A: b\r\n", count: count) + "\r\n" }
        let one = Self.chunked + trailers(2)
        #expect(Self.chunked.utf8.count < 72 && one.utf8.count > 72)
        let whole = ["POST /c chunked", "end A=b A=b"]
        #expect(Self.events([Array((one + one).utf8)], limits: limits) == whole + whole)
        let more = Self.chunked + trailers(3)
        #expect(
            Self.events([Array((one + more).utf8)], limits: limits) == whole + [
                "POST /c chunked", "error tooManyFields",
            ]
        )
        let long = Self.chunked + "0\r\nA: \(String(repeating: "x", count: 38))\r\n\r\n"
        #expect(Self.events([Array(long.utf8)], limits: limits) == ["POST /c chunked", "error lineTooLong"])
    }

    @Test("Ten thousand requests in one buffer are read")
    func many() {
        let input = String(repeating: "GET / HTTP/1.1\r\n\r\n", count: 10_000)
        #expect(Self.events([Array(input.utf8)]).count == 20_000)
    }
}
