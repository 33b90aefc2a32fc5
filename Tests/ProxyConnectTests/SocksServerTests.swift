import NIOCore
import NetworkAddress
import ProxyConnect
import TestSupport
import Testing

@Suite("The server's side of SOCKS")
struct SocksServerTests {
    /// What the exchange does with these pieces, each request answered with `reply`.
    private func play(_ pieces: [[UInt8]], _ reply: SocksReply = .succeeded) -> String {
        var exchange = SocksServerExchange()
        var buffer = ByteBuffer()
        var log: [String] = []
        for piece in pieces {
            buffer.writeBytes(piece)
            while let action = exchange.receive(&buffer) {
                switch action {
                case .send(let bytes): log.append("send \(hex(bytes))")
                case .perform(.connect(let target)):
                    log.append("connect \(target), answer \(hex(exchange.answer(reply)))")
                case .perform(.associate):
                    log.append("associate, answer \(hex(exchange.answer(reply, from: (.v4(0x7F00_0001), 1_081))))")
                case .fail(let bytes, let failure): log.append("fail \(hex(bytes)): \(failure)")
                }
            }
        }
        return log.joined(separator: "; ") + (buffer.readableBytes > 0 ? "; rest \(hex(buffer))" : "")
    }

    private func hex(_ bytes: ByteBuffer) -> String {
        bytes.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(
            separator: " "
        )
    }

    static let exchanges: [(bytes: String, expected: String)] = [
        // Version 5.
        (
            "05 01 00 05 01 00 01 C0 00 02 07 00 50",
            "send 05 00; connect 192.0.2.7:80, answer 05 00 00 01 00 00 00 00 00 00"
        ),
        (
            "05 02 02 00 05 01 00 03 07 64 62 2E 74 65 73 74 15 38",
            "send 05 00; connect db.test:5432, answer 05 00 00 01 00 00 00 00 00 00"
        ),
        (
            "05 01 00 05 01 00 04 20 01 0D B8 00 00 00 00 00 00 00 00 00 00 00 01 01 BB",
            "send 05 00; connect [2001:db8::1]:443, answer 05 00 00 01 00 00 00 00 00 00"
        ),
        (
            "05 01 00 05 01 00 03 03 3A 3A 31 00 50",
            "send 05 00; connect [::1]:80, answer 05 00 00 01 00 00 00 00 00 00"
        ),
        (
            "05 01 00 05 01 00 01 C0 00 02 07 00 50 47 45 54",
            "send 05 00; connect 192.0.2.7:80, answer 05 00 00 01 00 00 00 00 00 00; rest 47 45 54"
        ),
        ("05 01 00 05 03 00 01 00 00 00 00 00 00", "send 05 00; associate, answer 05 00 00 01 7F 00 00 01 04 39"),
        ("05 01 02", "fail 05 FF: the program insists on authentication, which this SOCKS port does not ask for"),
        ("05 00", "fail 05 FF: the program insists on authentication, which this SOCKS port does not ask for"),
        (
            "05 01 00 05 02 00 01 C0 00 02 07 00 50",
            "send 05 00; fail 05 07 00 01 00 00 00 00 00 00: SOCKS BIND is not supported"
        ),
        (
            "05 01 00 05 09 00 01 C0 00 02 07 00 50",
            "send 05 00; fail 05 07 00 01 00 00 00 00 00 00: SOCKS command 9 is not supported"
        ),
        (
            "05 01 00 05 01 00 02",
            "send 05 00; fail 05 08 00 01 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
                + "; rest 05 01 00 02"
        ),
        (
            "05 01 00 05 01 00 01 C0 00 02 07 00 00",
            "send 05 00; fail 05 01 00 01 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        (
            "05 01 00 05 01 00 03 00 00 50",
            "send 05 00; fail 05 01 00 01 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        (
            "05 01 00 05 01 00 03 05 31 32 37 2E 31 00 50",
            "send 05 00; fail 05 01 00 01 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        (
            "05 01 00 05 01 00 03 02 FF FE 00 50",
            "send 05 00; fail 05 01 00 01 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        ("05 01 00 04", "send 05 00; fail : the program does not speak SOCKS 5 or 4 here; rest 04"),
        // Version 4 and 4a.
        ("04 01 00 50 C0 00 02 07 6D 65 00", "connect 192.0.2.7:80, answer 00 5A 00 00 00 00 00 00"),
        ("04 01 00 50 C0 00 02 07 00 48 49", "connect 192.0.2.7:80, answer 00 5A 00 00 00 00 00 00; rest 48 49"),
        ("04 01 15 38 00 00 00 01 00 64 62 2E 74 65 73 74 00", "connect db.test:5432, answer 00 5A 00 00 00 00 00 00"),
        ("04 02 00 50 C0 00 02 07 00", "fail 00 5B 00 00 00 00 00 00: SOCKS BIND is not supported"),
        (
            "04 01 00 00 C0 00 02 07 00",
            "fail 00 5B 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        (
            "04 01 00 50 00 00 00 07 00 00",
            "fail 00 5B 00 00 00 00 00 00: the destination is neither a name nor an address with a port"
        ),
        // Other protocols.
        (
            "47 45 54 20",
            "fail : the program speaks HTTP here; set this port as its SOCKS proxy, socks5h://; rest 47 45 54 20"
        ),
        ("16 03 01", "fail : the program does not speak SOCKS 5 or 4 here; rest 16 03 01"),
        ("", ""),
        ("05", "; rest 05"),
        ("05 01 00 05 01 00 01 C0", "send 05 00; rest 05 01 00 01 C0"),
    ]

    @Test("Each exchange has one result, whole, byte by byte, and at every split", arguments: exchanges)
    func table(bytes: String, expected: String) {
        everySplit(of: octets(bytes)) { pieces, how in #expect(play(pieces) == expected, "\(how)") }
    }

    @Test("A text of version 4 has at most 255 bytes")
    func longText() {
        let head = octets("04 01 00 50 C0 00 02 07")
        let user = [UInt8](repeating: 0x61, count: 255)
        #expect(play([head + user + [0]]).hasPrefix("connect 192.0.2.7:80"))
        #expect(play([head + user]) == "; rest \(hex(ByteBuffer(bytes: head + user)))")
        #expect(play([head + user + [0x61]]).hasPrefix("fail 00 5B 00 00 00 00 00 00: a text of the SOCKS 4 request"))
    }

    @Test("Refusals are told apart in version 5, and are one code in version 4")
    func refusals() {
        let five = octets("05 01 00 05 01 00 01 C0 00 02 07 00 50")
        for reply in [SocksReply.notAllowed, .hostUnreachable, .connectionRefused, .timeToLiveExpired] {
            #expect(play([five], reply).contains("answer 05 0\(reply.rawValue) 00"))
            #expect(play([octets("04 01 00 50 C0 00 02 07 00")], reply).contains("answer 00 5B"))
        }
    }

    @Test("Random bytes never trap, and one exchange keeps no more than one message")
    func fuzz() {
        var random = Fuzzing.generator(1_928)
        for _ in 0..<3_000 {
            let row = Self.exchanges[Int.random(in: Self.exchanges.indices, using: &random)]
            let bytes = Fuzzing.mutate(octets(row.bytes), &random)
            #expect(play([bytes]) == play(bytes.map { [$0] }), "\(bytes)")
        }
    }
}
