import TestSupport
import Testing

@testable import TunnelClient

@Suite("Lines for a front's configuration")
struct FrontLinesTests {
    private func pasted(_ lines: [String]) -> [String] {
        lines.filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
    }

    @Test(
        "Each line stands in the front's configuration in Fixtures, which works as it is",
        arguments: [
            ("Server: nginx/1.22", "nginx/culvert.conf"), ("haproxy", "haproxy/culvert.cfg"),
            ("Server: Apache/2.4", "apache/culvert.conf"),
        ]
    )
    func fixtures(_ answer: String, _ file: String) throws {
        let fixture = try Fixture.text(file)
        let lines = pasted(FrontLines.upgrade(answer))
        #expect(!lines.isEmpty)
        for line in lines { #expect(fixture.contains(line), "\(line)") }
    }

    @Test("A product that is not known gets the lines of all")
    func unknown() {
        #expect(FrontLines.upgrade("Server: other").count { $0.hasSuffix(":") } == 3)
        #expect(FrontLines.forwardedFor("").count { $0.hasSuffix(":") } == 3)
        #expect(
            FrontLines.forwardedFor("nginx") == [
                "nginx, in the location of the endpoint:", "    proxy_set_header X-Forwarded-For $remote_addr;",
            ]
        )
    }
}
