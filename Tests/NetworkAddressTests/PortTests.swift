import NetworkAddress
import Testing

@Suite("Ports and ranges of ports")
struct PortTests {
    @Test("a port is decimal digits up to 65535")
    func port() {
        #expect(Port.parse("0") == 0)
        #expect(Port.parse("65535") == 65_535)
        #expect(["", "65536", "+1", "-1", " 1", "1 ", "0x1", "١"].allSatisfy { Port.parse($0) == nil })
    }

    @Test("port ranges contain their ends, and no ports outside")
    func portRanges() throws {
        let ranges = try #require(PortRanges("1024-2000, 8022,9000-9001"))
        #expect([1024, 2000, 8022, 9000, 9001].allSatisfy { ranges.contains($0) })
        #expect([0, 1023, 2001, 8021, 8023, 8999, 9002, 65535].allSatisfy { !ranges.contains($0) })
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1_000 {
            let port = try #require(ranges.random(using: &generator))
            #expect(ranges.contains(port))
        }
    }

    @Test(
        "a malformed list of port ranges is refused",
        arguments: ["", "0", "0-5", "5-4", "65536", "1-", "-1", "a", "1,,2", "1-2-3"]
    )
    func notPortRanges(text: String) {
        #expect(PortRanges(text) == nil)
    }

    @Test("an intersection contains the ports that are in both sets")
    func intersection() throws {
        let one = try #require(PortRanges("1000-2000,3000"))
        let two = try #require(PortRanges("1500-3500"))
        #expect(one.intersection(two).description == "1500-2000,3000")
        #expect(one.intersection(two).count == 502)
        #expect(one.intersection(try #require(PortRanges("1"))).ranges.isEmpty)
    }

    @Test(
        "a host and a port are parsed as in a URL",
        arguments: [
            ("a.example:80", "a.example:80"), ("192.0.2.1:1", "192.0.2.1:1"),
            ("[2001:DB8::1]:65535", "[2001:db8::1]:65535"),
            ("a.example", "a.example:8080"), ("[::1]", "[::1]:8080"),
        ]
    )
    func hostPort(text: String, expected: String) {
        #expect(HostPort(text, defaultPort: 8_080)?.description == expected)
        #expect((HostPort(text) == nil) == !text.hasSuffix(expected.suffix(3)))
    }

    @Test(
        "malformed hosts and ports are refused",
        arguments: [
            "", ":80", "a:", "a:0", "a:65536", "a:+1", "a b:1", "::1:80", "[::1:80", "[1.2.3.4]:1", "127.1:80", "u@a:1",
            "a/b",
        ]
    )
    func notHostPort(text: String) {
        #expect(HostPort(text, defaultPort: 80) == nil)
    }
}
