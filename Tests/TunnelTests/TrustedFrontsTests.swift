import HTTP1
import NIOCore
import NetworkAddress
import Testing

@testable import TunnelServer

@Suite("Trusted fronts")
struct TrustedFrontsTests {
    private static let fronts = TrustedFronts(
        blocks: [CIDRBlock("10.0.0.0/8"), CIDRBlock("::1/128")].compactMap { $0 }
    )

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let fields: [(String, String)]
        let expected: String?
        var testDescription: String { name }
    }

    static let rows = [
        Row(name: "no field", fields: [], expected: nil),
        Row(name: "one address", fields: [("X-Forwarded-For", "192.0.2.1")], expected: "192.0.2.1"),
        Row(
            name: "an address that the sender forged is to the left and is ignored",
            fields: [("X-Forwarded-For", "6.6.6.6, 192.0.2.1")],
            expected: "192.0.2.1"
        ),
        Row(
            name: "other fronts on the path are skipped",
            fields: [("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.3")],
            expected: "192.0.2.1"
        ),
        Row(
            name: "several fields are one list",
            fields: [("X-Forwarded-For", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")],
            expected: "192.0.2.1"
        ),
        Row(name: "only fronts", fields: [("X-Forwarded-For", "10.0.0.2")], expected: nil),
        Row(name: "garbage next to the front", fields: [("X-Forwarded-For", "192.0.2.1, unknown")], expected: nil),
        Row(name: "a port", fields: [("X-Forwarded-For", "192.0.2.1:4711")], expected: "192.0.2.1"),
        Row(name: "mapped", fields: [("X-Forwarded-For", "::ffff:192.0.2.1")], expected: "192.0.2.1"),
        Row(
            name: "Forwarded",
            fields: [("Forwarded", "for=6.6.6.6, for=192.0.2.1;proto=https;by=10.0.0.1")],
            expected: "192.0.2.1"
        ),
        Row(
            name: "Forwarded with IPv6 and a port",
            fields: [("Forwarded", "proto=https; For=\"[2001:db8::1]:4711\"")],
            expected: "2001:db8::1"
        ),
        Row(name: "Forwarded by a name", fields: [("Forwarded", "for=_hidden")], expected: nil),
        Row(name: "Forwarded without for", fields: [("Forwarded", "proto=https")], expected: nil),
        Row(
            name: "X-Forwarded-For overrides a Forwarded that the front passed on",
            fields: [("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "192.0.2.1")],
            expected: "192.0.2.1"
        ),
    ]

    @Test("H29 the origin is the last address that is not a front", arguments: rows)
    func origin(_ row: Row) throws {
        let head = RequestHead(method: "GET", target: "/", fields: try HeaderFields(row.fields))
        #expect(Self.fronts.origin(of: head)?.description == row.expected)
    }

    @Test("Only the socket's address decides whether a peer is a front")
    func peers() throws {
        let rows: [(String, Bool)] = [
            ("10.1.2.3", true), ("192.0.2.1", false), ("::1", true), ("::ffff:10.0.0.1", true),
        ]
        for (text, isFront) in rows {
            #expect(Self.fronts.contains(try SocketAddress(ipAddress: text, port: 1)) == isFront, "\(text)")
        }
        let unix = try SocketAddress(unixDomainSocketPath: "/tmp/x")
        #expect(!Self.fronts.contains(unix))
        #expect(TrustedFronts(includesUnix: true).contains(unix))
        #expect(!TrustedFronts().contains(try SocketAddress(ipAddress: "127.0.0.1", port: 1)))
    }
}
