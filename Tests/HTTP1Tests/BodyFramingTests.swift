import HTTP1
import NIOCore
import TestSupport
import Testing

@Suite("The end of a body")
struct BodyFramingTests {
    typealias Pairs = [(String, String)]

    @Test(
        "H12, H16 a request has one decimal length, or one coding chunked in HTTP/1.1, and never both",
        arguments: [
            ([], BodyFraming.none), ([("Content-Length", "0")], .length(0)),
            ([("content-length", " 12\t")], .length(12)),
            ([("Content-Length", "0012")], .length(12)), ([("Content-Length", "9223372036854775807")], .length(.max)),
            ([("Transfer-Encoding", "chunked")], .chunked), ([("TRANSFER-ENCODING", "Chunked")], .chunked),
            ([("Content-Length", "9223372036854775808")], nil), ([("Content-Length", "+5")], nil),
            ([("Content-Length", "-5")], nil), ([("Content-Length", "0x5")], nil), ([("Content-Length", "5, 5")], nil),
            ([("Content-Length", "5,")], nil), ([("Content-Length", "5 5")], nil), ([("Content-Length", "")], nil),
            ([("Content-Length", "5.0")], nil), ([("Content-Length", "5;")], nil), ([("Content-Length", "٥")], nil),
            ([("Content-Length", "5"), ("Content-Length", "5")], nil),
            ([("Content-Length", "5"), ("content-length", "6")], nil),
            ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], nil),
            ([("Content-Length", "0"), ("Transfer-Encoding", "chunked")], nil),
            ([("Transfer-Encoding", "")], nil), ([("Transfer-Encoding", "identity")], nil),
            ([("Transfer-Encoding", "gzip")], nil), ([("Transfer-Encoding", "gzip, chunked")], nil),
            ([("Transfer-Encoding", "chunked, chunked")], nil), ([("Transfer-Encoding", "chunked, identity")], nil),
            ([("Transfer-Encoding", "chunked,")], nil), ([("Transfer-Encoding", ", chunked")], nil),
            ([("Transfer-Encoding", "xchunked")], nil), ([("Transfer-Encoding", "\"chunked\"")], nil),
            ([("Transfer-Encoding", "chunked;q=1")], nil), ([("Transfer-Encoding", "chunKed\u{A0}")], nil),
            ([("Transfer-Encoding", "c\u{212A}unked")], nil),
            ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], nil),
            ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")], nil),
        ] as [(Pairs, BodyFraming?)]
    )
    func requests(pairs: Pairs, expected: BodyFraming?) throws {
        let head = RequestHead(method: "POST", target: "/", fields: try HeaderFields(pairs))
        guard let expected else {
            let error = #expect(throws: HTTP1Error.self) { try BodyFraming(of: head) }
            #expect(error?.status == 400)
            return
        }
        #expect(try BodyFraming(of: head) == expected)
    }

    @Test("H16 a coding is refused in a request of any other version", arguments: [0, 2, 9])
    func otherVersions(minor: Int) throws {
        let coding = try HeaderFields([("Transfer-Encoding", "chunked")])
        let head = RequestHead(
            method: "POST",
            target: "/",
            version: HTTPVersion(major: 1, minor: minor),
            fields: coding
        )
        #expect(throws: HTTP1Error(.malformedLength)) { try BodyFraming(of: head) }
    }

    @Test(
        "An answer without a body has none whatever its fields say, and a coding outweighs a length",
        arguments: [
            ("GET", 200, [], .untilClose), ("GET", 200, [("Content-Length", "3")], .length(3)),
            ("GET", 200, [("Content-Length", "3, 3")], .length(3)),
            ("GET", 200, [("Content-Length", "3"), ("Content-Length", "3")], .length(3)),
            ("GET", 200, [("Transfer-Encoding", "chunked")], .chunked),
            ("GET", 200, [("Transfer-Encoding", ", chunked ,")], .chunked),
            ("GET", 200, [("Transfer-Encoding", "CHUNKED"), ("Content-Length", "3")], .chunked),
            ("GET", 205, [("Content-Length", "0")], .length(0)),
            ("POST", 304, [("Content-Length", "3")], BodyFraming.none),
            ("GET", 204, [("Content-Length", "3")], BodyFraming.none),
            ("GET", 204, [("Transfer-Encoding", "chunked")], BodyFraming.none),
            ("GET", 103, [("Content-Length", "3")], BodyFraming.none),
            ("HEAD", 200, [("Content-Length", "3")], BodyFraming.none),
            ("HEAD", 200, [("Transfer-Encoding", "chunked")], BodyFraming.none), ("HEAD", 200, [], BodyFraming.none),
            ("head", 200, [("Content-Length", "3")], .length(3)),
            ("GET", 200, [("Content-Length", "3, 4")], nil), ("GET", 200, [("Content-Length", "3,")], nil),
            ("GET", 200, [("Content-Length", "")], nil), ("GET", 200, [("Content-Length", "-1")], nil),
            ("GET", 200, [("Content-Length", "3"), ("Content-Length", "03x")], nil),
            ("GET", 200, [("Content-Length", "99999999999999999999")], nil),
            ("GET", 200, [("Transfer-Encoding", "gzip, chunked")], nil),
            ("GET", 200, [("Transfer-Encoding", "gzip")], nil),
            ("GET", 200, [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], nil),
            ("GET", 200, [("Transfer-Encoding", "")], nil),
            ("GET", 200, [("Transfer-Encoding", ""), ("Content-Length", "3")], nil),
            ("HEAD", 200, [("Content-Length", "x")], nil),
        ] as [(String, Int, Pairs, BodyFraming?)]
    )
    func answers(method: String, status: Int, pairs: Pairs, expected: BodyFraming?) throws {
        let head = ResponseHead(status: status, fields: try HeaderFields(pairs))
        guard let expected else {
            #expect(throws: HTTP1Error(.malformedLength)) { try BodyFraming(of: head, to: method) }
            return
        }
        #expect(try BodyFraming(of: head, to: method) == expected)
    }
}

@Suite("Written bodies")
struct BodyWriterTests {
    @Test(
        "Chunks read back as the content and the trailers, whatever its pieces",
        arguments: [0, 1, 15, 16, 4_096, 4_097, 70_000]
    )
    func roundTrip(size: Int) throws {
        let writer = BodyWriter(.chunked)
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        var wire = ByteBuffer()
        for _ in 0..<3 {
            writer.write(ByteBuffer(bytes: content)) { buffer in wire.writeImmutableBuffer(buffer) }
        }
        let trailers = fields(("X-Sum", "1"), ("X-Other", ""))
        writer.end(trailers: trailers) { wire.writeImmutableBuffer($0) }
        wire.writeString("rest")
        var (reader, read, end) = (BodyReader(.chunked), [UInt8](), HeaderFields?.none)
        while let part = try reader.next(from: &wire) {
            switch part {
            case .content(let bytes): read += Array(buffer: bytes)
            case .end(let trailers): end = trailers
            }
        }
        #expect(read == content + content + content)
        #expect(end == trailers)
        #expect(String(buffer: wire) == "rest")
    }

    @Test("A small chunk leaves in one buffer, a large one is not copied, and an empty one does not end the body")
    func buffers() {
        func written(_ size: Int) -> [Int] {
            var sizes: [Int] = []
            BodyWriter(.chunked).write(ByteBuffer(repeating: 0x61, count: size)) { sizes.append($0.readableBytes) }
            return sizes
        }
        #expect(written(0) == [])
        #expect(written(3) == [8])
        #expect(written(4_096) == [4_104])
        #expect(written(4_097) == [6, 4_097, 2])
    }

    @Test(
        "Without chunks the content is sent as it is, and trailers are dropped",
        arguments: [.length(3), .untilClose, .none] as [BodyFraming]
    )
    func plain(framing: BodyFraming) {
        var wire = ByteBuffer()
        let writer = BodyWriter(framing)
        writer.write(ByteBuffer(string: "abc")) { wire.writeImmutableBuffer($0) }
        writer.end(trailers: fields(("A", "b"))) { wire.writeImmutableBuffer($0) }
        #expect(String(buffer: wire) == "abc")
    }
}
