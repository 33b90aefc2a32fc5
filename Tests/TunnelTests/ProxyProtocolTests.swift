import Foundation
import NIOCore
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

@Suite("The PROXY protocol")
struct ProxyProtocolTests {
    private static let signature = ProxyProtocolHeader.signature

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        /// `source destination`, with the authority if there is one, `nobody`, `more`, or the failure.
        let expected: String
        var testDescription: String { name }
    }

    private static func line(_ name: String, _ text: String, _ expected: String) -> Row {
        Row(name: name, bytes: Array(text.utf8), expected: expected)
    }

    private static func binary(_ name: String, _ bytes: [UInt8], _ expected: String) -> Row {
        Row(name: name, bytes: signature + bytes, expected: expected)
    }

    /// Version 2 over IPv4 with fields behind the addresses.
    private static func fields(_ name: String, _ fields: [UInt8], authority: String?) -> Row {
        let length = 12 + fields.count
        return binary(
            "v2 with \(name)",
            [
                0x21, 0x11, UInt8(length >> 8), UInt8(length & 0xFF), 192, 0, 2, 1, 198, 51, 100, 2, 0x9C, 0x41, 0x01,
                0xBB,
            ]
                + fields,
            "192.0.2.1:40001 198.51.100.2:443" + (authority.map { " \($0)" } ?? "")
        )
    }

    /// The longest name in DNS.
    private static let longestName = (Array(repeating: String(repeating: "a", count: 62), count: 4) + ["b"])
        .joined(separator: ".")

    static let rows = [
        line("v1 over IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 40001 443\r\nGET", "192.0.2.1:40001 198.51.100.2:443"),
        line("v1 over IPv6", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "[2001:db8::1]:1 [::1]:65535"),
        line("v1 without an address", "PROXY UNKNOWN\r\nx", "nobody"),
        line("v1 UNKNOWN with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "nobody"),
        line("v1 incomplete", "PROXY TCP4 192.0.2.1", "more"),
        line("v1 of mixed families", "PROXY TCP4 192.0.2.1 ::1 1 2\r\n", "malformed"),
        line("v1 with a port too large", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "malformed"),
        line("v1 with a sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "malformed"),
        line("v1 with two spaces", "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "malformed"),
        line("v1 with an extra field", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "malformed"),
        line("v1 with a bare LF", "PROXY UNKNOWN\n", "malformed"),
        line("v1 of another family", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "malformed"),
        line("v1 of 107 bytes", "PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n", "nobody"),
        line("v1 of 108 bytes", "PROXY UNKNOWN " + String(repeating: "x", count: 92) + "\r\n", "malformed"),
        line("v1 without an end", String(repeating: "PROXY ", count: 30), "malformed"),
        line("a request", "GET / HTTP/1.1\r\n", "not a header"),
        line("another word", "PROXX TCP4", "not a header"),
        line("nothing", "", "more"),
        binary(
            "v2 over IPv4",
            [0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 2, 0x9C, 0x41, 0x01, 0xBB, 0x47],
            "192.0.2.1:40001 198.51.100.2:443"
        ),
        binary(
            "v2 over IPv6",
            [0x21, 0x21, 0, 36] + Array(repeating: 0, count: 15) + [1] + Array(repeating: 0, count: 15) + [
                2, 0, 1, 0, 2,
            ],
            "[::1]:1 [::2]:2"
        ),
        binary(
            "v2 with extensions after the addresses",
            [0x21, 0x11, 0, 15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2, 9, 9, 9],
            "1.2.3.4:1 5.6.7.8:2"
        ),
        fields("an authority", [2, 0, 3] + Array("a.b".utf8), authority: "a.b"),
        fields("an authority behind others", [4, 0, 0, 0x20, 0, 1, 9, 2, 0, 1, 0x61], authority: "a"),
        fields("two authorities, of which the first counts", [2, 0, 1, 0x61, 2, 0, 1, 0x62], authority: "a"),
        fields("an authority of 253 bytes", [2, 0, 253] + Array(longestName.utf8), authority: longestName),
        fields("an authority of 254 bytes", [2, 0, 254] + Array("a\(longestName)".utf8), authority: nil),
        fields("an empty authority", [2, 0, 0], authority: nil),
        fields("an authority that is not a host", [2, 0, 3] + Array("a\nb".utf8), authority: nil),
        fields("an authority that is not UTF-8", [2, 0, 2, 0x61, 0xFF], authority: nil),
        fields("an authority longer than the header", [2, 0, 4] + Array("a.b".utf8), authority: nil),
        fields("a type without a length", [2], authority: nil),
        fields("half a length", [2, 0], authority: nil),
        fields("another field longer than the header, before an authority", [4, 1, 0, 2, 0, 1, 0x61], authority: nil),
        binary("v2 LOCAL", [0x20, 0, 0, 0], "nobody"),
        binary("v2 LOCAL with an authority", [0x20, 0, 0, 4, 2, 0, 1, 0x61], "nobody"),
        binary("v2 over a unix socket", [0x21, 0x31, 0, 1, 7], "nobody"),
        binary("v2 too short for its addresses", [0x21, 0x11, 0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0], "malformed"),
        binary("v2 of another version", [0x11, 0x11, 0, 12], "malformed"),
        binary("v2 of another command", [0x22, 0x11, 0, 12], "malformed"),
        binary("v2 beyond the limit", [0x21, 0x11, 0x08, 0x01], "malformed"),
        binary("v2 incomplete", [0x21, 0x11, 0, 12, 1], "more"),
        Row(name: "v2 with another signature", bytes: Array(signature.prefix(11)) + [0x0B], expected: "not a header"),
    ]

    private func outcome(_ pieces: [[UInt8]]) -> (result: String, rest: Int) {
        let parser = ProxyProtocolParser()
        var buffer = ByteBuffer()
        for (index, piece) in pieces.enumerated() {
            buffer.writeBytes(piece)
            do throws(ProxyProtocolParser.Failure) {
                guard let header = try parser.receive(&buffer) else { continue }
                let rest = buffer.readableBytes + pieces.dropFirst(index + 1).reduce(0) { $0 + $1.count }
                let ends = header.ends.map { "\($0.source) \($0.destination)" } ?? "nobody"
                return (ends + (header.authority.map { " \($0)" } ?? ""), rest)
            } catch {
                return (error == .malformed ? "malformed" : "not a header", 0)
            }
        }
        return ("more", buffer.readableBytes)
    }

    @Test("A header is parsed whole, byte by byte and at every split, and the following bytes stay", arguments: rows)
    func read(_ row: Row) {
        let whole = outcome([row.bytes])
        #expect(whole.result == row.expected)
        #expect(outcome(row.bytes.map { [$0] }) == whole)
        for cut in row.bytes.indices {
            #expect(outcome([Array(row.bytes[..<cut]), Array(row.bytes[cut...])]) == whole)
        }
    }

    @Test("A written header is parsed to the same header, in both versions", arguments: [ProxyProtocolVersion.v1, .v2])
    func roundTrip(_ version: ProxyProtocolVersion) throws {
        let rows = [
            ("192.0.2.1:40001", "198.51.100.2:443"), ("[2001:db8::1]:1", "[::1]:65535"), ("nobody", "[::1]:1"),
            ("192.0.2.1:1", "[2001:db8::1]:2"),
        ]
        for (source, destination) in rows {
            let header = ProxyProtocolHeader(
                source: ProxyProtocolEnd(source),
                destination: ProxyProtocolEnd(destination)
            )
            var bytes = header.encoded(version)
            bytes.writeString("rest")
            #expect(try ProxyProtocolParser().receive(&bytes) == header)
            #expect(String(buffer: bytes) == "rest")
        }
    }

    private func header(authority: String?) -> ProxyProtocolHeader {
        ProxyProtocolHeader(
            source: ProxyProtocolEnd("192.0.2.1:40001"),
            destination: ProxyProtocolEnd("198.51.100.2:443"),
            authority: authority
        )
    }

    @Test("The authority is a field of type 2 behind the addresses of version 2, and version 1 has none")
    func authority() throws {
        let header = header(authority: "a.example.com")
        let expected =
            Self.signature + [0x21, 0x11, 0, 12 + 3 + 13, 192, 0, 2, 1, 198, 51, 100, 2, 0x9C, 0x41, 0x01, 0xBB]
            + [0x02, 0, 13] + Array("a.example.com".utf8)
        var bytes = header.encoded(.v2)
        #expect(Array(buffer: bytes) == expected)
        #expect(try ProxyProtocolParser().receive(&bytes) == header)
        #expect(String(buffer: header.encoded(.v1)) == "PROXY TCP4 192.0.2.1 198.51.100.2 40001 443\r\n")
    }

    @Test("A header without known ends carries no authority")
    func authorityWithoutEnds() {
        let header = ProxyProtocolHeader(source: nil, destination: nil, authority: "a.example.com")
        #expect(Array(buffer: header.encoded(.v2)) == Self.signature + [0x20, 0, 0, 0])
    }

    @Test("An authority has at most 253 bytes, and what is not a host is left out")
    func authorityBound() throws {
        var bytes = header(authority: Self.longestName).encoded(.v2)
        #expect(bytes.readableBytes == 16 + 12 + 3 + 253)
        #expect(try ProxyProtocolParser().receive(&bytes)?.authority == Self.longestName)
        for text in ["a" + Self.longestName, "", "a b", "a\0", "b\u{FC}cher.example", "a\r\nPROXY"] {
            #expect(header(authority: text) == header(authority: nil))
        }
    }

    @Test("HAProxy reads the authority and the addresses of a header that is written")
    func realReader() async throws {
        try await Scenario.run { scenario in
            let port = try await HAProxy.headerReader(in: scenario)
            for authority in ["a.example.com", Self.longestName, nil] {
                let bytes = Array(buffer: header(authority: authority).encoded(.v2))
                let answer = try await onThread {
                    let socket = try TCPSocket(port: port)
                    try socket.send(bytes + Array("GET / HTTP/1.0\r\n\r\n".utf8))
                    return String(decoding: try socket.receiveToEnd(), as: UTF8.self)
                }
                let body = "192.0.2.1:40001 198.51.100.2:443 [\(authority ?? "")]"
                #expect(answer.hasSuffix("\r\n\r\n\(body)"), "\(answer)")
            }
        }
    }

    @Test("Mutated headers give a header, a failure or a request for more bytes, and never trap")
    func fuzz() {
        var generator = SplitMix64(state: 7)
        for round in 0..<20_000 {
            var bytes = Self.rows[round % Self.rows.count].bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: .min ... .max, using: &generator)
            }
            let cut = bytes.isEmpty ? 0 : Int.random(in: bytes.indices, using: &generator)
            let halves = [Array(bytes.prefix(cut)), Array(bytes.dropFirst(cut))]
            #expect(outcome([bytes]) == outcome(halves))
        }
    }
}
