import NetworkAddress
import Testing

@Suite("Addresses and blocks")
struct IPAddressTests {
    @Test(
        "An address is parsed, and written in its canonical form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("127.0.0.1", "127.0.0.1"), ("::", "::"),
            ("::1", "::1"), ("1::", "1::"), ("[::1]", "::1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::FFFF:c000:201", "::ffff:192.0.2.1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("fe80:0000::0001", "fe80::1"),
        ]
    )
    func reads(_ text: String, _ canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
        #expect(IPAddress(canonical) == IPAddress(text))
    }

    @Test("Every octet is written in decimal, without leading zeros")
    func octets() {
        for octet: UInt32 in 0...255 {
            #expect(IPAddress.v4(octet << 24 | octet).description == "\(octet).0.0.\(octet)")
        }
    }

    @Test(
        "R17 spellings that only inet_aton accepts, and malformed ones, are not addresses",
        arguments: [
            "", "1", "127.1", "127.0.1", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "1.2.3.256", "1.2.3.",
            ".1.2.3",
            "1..2.3", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4", "2130706433", "1.2.3.0000", "\u{661}.2.3.4", ":", ":::",
            "1:2", "1:::2",
            "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", ":1::2", "1::2:",
            "12345::",
            "g::", "fe80::1%eth0", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "[127.0.0.1]", "[::1", "::1]", "[]", "+1::",
            "::ffff:01.2.3.4",
        ]
    )
    func refuses(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("A mapped address is its IPv4 address")
    func mapped() throws {
        #expect(try #require(IPAddress("::ffff:127.0.0.1")).unmapped == IPAddress("127.0.0.1"))
        #expect(try #require(IPAddress("::127.0.0.1")).unmapped == IPAddress("::127.0.0.1"))
        for text in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
            #expect(try #require(IPAddress(text)).isLoopback)
        }
        for text in ["128.0.0.1", "::2", "::", "0.0.0.0"] {
            #expect(try !#require(IPAddress(text)).isLoopback)
        }
    }

    @Test(
        "A block holds its addresses and no others",
        arguments: [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"), ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"), ("192.0.2.1/32", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"), ("fd00::/8", "fdff::1", "fe00::"), ("::1/128", "::1", "::2"),
            ("::/0", "ffff::", "1.2.3.4"), ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"), ("[fd00::]/8", "fd00::1", "fc00::1"),
        ]
    )
    func blocks(_ block: String, _ inside: String, _ outside: String) throws {
        let block = try #require(CIDRBlock(block))
        #expect(try block.contains(#require(IPAddress(inside))))
        #expect(try !block.contains(#require(IPAddress(outside))))
    }

    @Test(
        "A malformed block is refused",
        arguments: [
            "", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "10/8",
            "::/129",
            "a/8", "10.0.0.0/ 8", "10.0.0.0/99999999999999999999",
        ]
    )
    func malformedBlocks(_ text: String) {
        #expect(CIDRBlock(text) == nil)
    }

    @Test("A block is written with its first address")
    func blockText() {
        #expect(CIDRBlock("10.1.2.3/8")?.description == "10.0.0.0/8")
        #expect(CIDRBlock("FD12::1/8")?.description == "fd00::/8")
    }
}
