import HTTP1
import Testing

@Suite("Limits of heads")
struct HeadLimitsTests {
    /// A request of exactly `bytes` bytes, in lines well below the line limit.
    private func request(bytes: Int) -> [UInt8] {
        var text = "GET / HTTP/1.1\r\n"
        while bytes - text.utf8.count - 2 > 5000 { text += "A: \(String(repeating: "x", count: 3995))\r\n" }
        text += "B: \(String(repeating: "y", count: bytes - text.utf8.count - 7))\r\n\r\n"
        return Array(text.utf8)
    }

    private func splits(_ bytes: [UInt8]) -> [[[UInt8]]] {
        [[bytes], bytes.map { [$0] }]
    }

    @Test("H18 a head of 16 KiB is read, and one byte more is refused at the limit")
    func h18_headBytes() {
        let limit = HeadLimits.request.maximumBytes
        for chunks in splits(request(bytes: limit)) {
            #expect(parseRequest(chunks).head != nil)
        }
        for chunks in splits(request(bytes: limit + 1)) {
            #expect(parseRequest(chunks).error == .headTooLarge)
        }
        #expect(parseRequest([Array(request(bytes: limit + 1).prefix(limit))]).error == .headTooLarge)
        #expect(parseRequest([Array(request(bytes: limit + 1).prefix(limit - 1))]).error == nil)
    }

    @Test("H18 64 fields are read, and the first byte of the 65th is refused")
    func h18_fields() {
        func head(_ count: Int) -> String {
            "GET / HTTP/1.1\r\n" + (0..<count).map { "F\($0): x\r\n" }.joined()
        }
        for chunks in splits(Array((head(64) + "\r\n").utf8)) {
            #expect(parseRequest(chunks).head?.fields.count == 64)
        }
        for chunks in splits(Array((head(64) + "F").utf8)) {
            #expect(parseRequest(chunks).error == .tooManyFields)
        }
    }

    @Test("H18 a line of 8 KiB is read, and one byte more is refused")
    func h18_line() {
        func head(_ count: Int) -> String {
            "GET / HTTP/1.1\r\nA:" + String(repeating: "x", count: count - 2)
        }
        #expect(parseRequest([Array((head(8192) + "\r\n\r\n").utf8)]).head != nil)
        #expect(parseRequest([Array(head(8192).utf8)]).error == nil)
        for chunks in splits(Array(head(8193).utf8)) {
            #expect(parseRequest(chunks).error == .lineTooLong)
        }
    }

    @Test("H18 a request line of more than 8 KiB is refused at the limit")
    func h18_requestLine() {
        func line(_ count: Int) -> String {
            "GET /" + String(repeating: "x", count: count - 14) + " HTTP/1.1"
        }
        #expect(parseRequest([Array((line(8192) + "\r\n\r\n").utf8)]).head != nil)
        for chunks in splits(Array(line(8193).utf8)) {
            #expect(parseRequest(chunks).error == .startLineTooLong)
        }
        #expect(parseRequest([Array(repeating: UInt8(ascii: "A"), count: 8192)]).error == nil)
        #expect(parseRequest([Array(repeating: UInt8(ascii: "A"), count: 8193)]).error == .startLineTooLong)
    }

    @Test("R7 an answer of 64 KiB and one of 512 fields are read, and one more byte or field is refused")
    func r7_response() {
        let start = "HTTP/1.1 200 OK\r\n"
        func filled(_ bytes: Int) -> [UInt8] {
            Array("\(start)A:\(String(repeating: "x", count: bytes - start.utf8.count - 6))\r\n\r\n".utf8)
        }
        for chunks in splits(filled(65536)) {
            #expect(parseResponse(chunks).head != nil)
        }
        for chunks in splits(filled(65537)) {
            #expect(parseResponse(chunks).error == .headTooLarge)
        }
        let fields = (0..<512).map { "F\($0): x\r\n" }.joined()
        #expect(parseResponse([Array((start + fields + "\r\n").utf8)]).head?.fields.count == 512)
        #expect(parseResponse([Array((start + fields + "F").utf8)]).error == .tooManyFields)
    }

    @Test("R7 folded lines are counted in the head, in their field's length, and not among the fields")
    func r7_folds() {
        let start = "HTTP/1.1 200 OK\r\n"
        func answer(_ lines: String, _ limits: HeadLimits) -> [Parsed<ResponseHead>] {
            splits(Array((start + lines).utf8)).map { parseResponse($0, limits: limits) }
        }
        // 17 bytes of status line, 6 of the field, 7 for each folded line, 2 of the end.
        let head = HeadLimits(maximumBytes: 17 + 6 + 4 * 7 + 2, maximumFields: 1, maximumLineBytes: 100)
        func folds(_ count: Int) -> String { "A: 1\r\n" + String(repeating: " fold\r\n", count: count) + "\r\n" }
        for parsed in answer(folds(4), head) {
            #expect(parsed.head?.fields.first("A") == "1 fold fold fold fold")
        }
        for parsed in answer(folds(5), head) {
            #expect(parsed.error == .headTooLarge)
        }
        // Four bytes of the field's first line, five of each further one.
        let line = HeadLimits(maximumBytes: 1_000, maximumFields: 1, maximumLineBytes: 4 + 4 * 5)
        for parsed in answer(folds(4), line) {
            #expect(parsed.error == nil)
        }
        for parsed in answer(folds(5), line) {
            #expect(parsed.error == .lineTooLong)
        }
        let two = HeadLimits(maximumBytes: 1_000, maximumFields: 2, maximumLineBytes: 100)
        for parsed in answer("A: 1\r\nB: 2\r\n \r\n 3\r\n\r\n", two) {
            #expect(parsed.head?.fields.first("B") == "2 3")
        }
        for parsed in answer("A: 1\r\nB: 2\r\n 3\r\nC", two) {
            #expect(parsed.error == .tooManyFields)
        }
    }

    @Test("A limit of zero refuses the first byte")
    func zero() {
        let none = HeadLimits(maximumBytes: 0, maximumFields: 0, maximumLineBytes: 0)
        #expect(parseRequest([[UInt8(ascii: "G")]], limits: none).error == .headTooLarge)
    }
}
