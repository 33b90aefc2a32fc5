import NIOCore
import TestSupport
import Testing

@testable import Mux

/// The form of control payloads (protocol page, section 1).
@Suite struct FieldTests {
    private func read(_ text: String) throws(MuxError) -> FieldReader {
        try FieldReader(buffer(hex(text)), of: .bind)
    }

    @Test(
        "M3 M30 a payload of fields that cannot be read is malformed",
        arguments: [
            "01", "01 00", "01 0001", "01 0002 61", "01 ffff 61", "01 0000 01 0000", "ff 0001 00 01 0000",
            "01 0001 61 02",
        ]
    )
    func malformed(text: String) {
        #expect(kind { () throws(MuxError) in _ = try read(text) } == .malformedPayload)
    }

    @Test("unknown tags are skipped, in any order, and an empty payload has no fields")
    func skipped() throws {
        let fields = try read("7e 0003 616263 01 0002 0102 00 0000")
        #expect(try fields.number(1, as: UInt16.self) == 0x0102)
        #expect(fields.bytes(0)?.isEmpty == true)
        #expect(fields.bytes(2) == nil)
        #expect(try read("").bytes(1) == nil)
    }

    @Test("a proof covers all fields before it, known or not")
    func unproved() throws {
        #expect(try read("01 0001 61 7e 0001 62 ff 0001 63").unproved == buffer(hex("01 0001 61 7e 0001 62")))
        #expect(try read("01 0001 61").unproved == buffer(hex("01 0001 61")))
        #expect(try read("ff 0000").unproved.readableBytes == 0)
    }

    @Test("a number has exactly its width")
    func numbers() throws {
        let fields = try read("01 0002 ffff 02 0003 000000 03 0000")
        #expect(try fields.number(1, as: UInt16.self) == .max)
        for tag in [UInt8(2), 3, 4] {
            #expect(kind { () throws(MuxError) in _ = try fields.number(tag, as: UInt16.self) } == .malformedPayload)
        }
        #expect(kind { () throws(MuxError) in _ = try fields.number(1, as: UInt32.self) } == .malformedPayload)
        #expect(try fields.optionalNumber(9, as: UInt16.self) == nil)
        #expect(
            kind { () throws(MuxError) in _ = try fields.optionalNumber(3, as: UInt16.self) } == .malformedPayload
        )
    }

    @Test(
        "M30 a text is printable UTF-8 of bounded length",
        arguments: [
            ("61 62", true), ("", true), ("20", true), ("c3a9", true), ("f09f8c8d", true), ("0a", false), ("00", false),
            ("1b 5b", false), ("7f", false), ("c285", false), ("c3", false), ("ff", false), ("eda080", false),
            ("e280ae", false), ("efbbbf", false), ("e280a8", false), ("6161616161", false),
        ]
    )
    func texts(text: String, isFine: Bool) throws {
        var fields = FieldWriter()
        fields.append(1, hex(text))
        let reader = try FieldReader(fields.bytes, of: .bind)
        let error = kind { () throws(MuxError) in _ = try reader.text(1, atMost: 4) }
        #expect(error == (isFine ? nil : .malformedPayload))
        #expect(try reader.text(2, atMost: 4) == "")
    }

    @Test("M30 every text that this end writes can be read by the peer", arguments: [0, 1, 2, 3, 4])
    func cleaned(shift: Int) throws {
        let text = String(repeating: "x", count: shift) + String(repeating: "é🌍\n\u{1b}\u{202e}", count: 100)
        let refusal = Refusal(.bindFailed, text, retryAfter: 5)
        let read = try Refusal(refusal.frame(.unbound, tunnel: 3).payload, of: .unbound)
        #expect(read.code == .bindFailed && read.retryAfter == 5)
        #expect((507...512).contains(read.text.utf8.count))
        #expect(text.filter { !$0.isNewline && $0 != "\u{1b}" && $0 != "\u{202e}" }.hasPrefix(read.text))
        #expect(try Refusal.tunnel(refusal.frame(.unbound, tunnel: 3).payload) == 3)
    }

    @Test("payloads read back as written: bind, bound, open, reset, refusal")
    func roundTrips() throws {
        let request = BindRequest(tunnel: 65_535, address: "127.0.0.1", port: 8_022)
        #expect(try BindRequest(request.frame.payload) == request)
        let binding = Binding(tunnel: 1, address: "::", port: 65_535)
        #expect(try Binding(binding.frame.payload) == binding)
        #expect(try OpenRequest(visit.frame(two).payload, from: .server) == visit)
        let forward = OpenRequest(destination: "[2001:db8::1]:443", visitor: "127.0.0.1:40001")
        #expect(try OpenRequest(forward.frame(StreamID(1)).payload, from: .client) == forward)
        let reset = try ResetCode.read(ResetCode(rawValue: .max).frame(two, after: .max).payload)
        #expect(reset == (ResetCode(rawValue: .max), .max))
        #expect(try Unbinding(Unbinding(tunnel: 65_535).frame.payload).tunnel == 65_535)
        let refusal = Refusal(RefusalCode(rawValue: 4_000_000_000), "")
        #expect(try Refusal(refusal.frame(.goAway).payload, of: .goAway) == refusal)
        #expect("\(refusal)" == "code 4000000000")
    }
}
