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
        /// `source destination`, `nobody`, `more`, or the failure.
        let expected: String
        var testDescription: String { name }
    }

    private static func line(_ name: String, _ text: String, _ expected: String) -> Row {
        Row(name: name, bytes: Array(text.utf8), expected: expected)
    }

    private static func binary(_ name: String, _ bytes: [UInt8], _ expected: String) -> Row {
        Row(name: name, bytes: signature + bytes, expected: expected)
    }

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
        binary("v2 LOCAL", [0x20, 0, 0, 0], "nobody"),
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
                return (header.ends.map { "\($0.source) \($0.destination)" } ?? "nobody", rest)
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
