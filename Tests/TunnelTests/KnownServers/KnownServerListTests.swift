import Foundation
import Seal
import TestSupport
import Testing

@testable import TunnelClient

@Suite("The list of known servers")
struct KnownServerListTests {
    private static func key(_ number: UInt8) throws -> ServerPublicKey {
        try #require(ServerPublicKey(rawRepresentation: [UInt8](repeating: number, count: 32)))
    }

    @Test(
        "a line is a server and its key, whatever the spaces, the line end and the comment behind",
        arguments: [
            "tunnel.example:443 KEY", "tunnel.example:443 KEY\n", "tunnel.example:443 KEY\r\n",
            "  tunnel.example:443\t\tKEY  \n", "tunnel.example:443 KEY # since May\n",
            "\u{FEFF}tunnel.example:443 KEY\n",
            "# tunnel.example:443\n\n   \n\t# x\ntunnel.example:443 KEY\n", "Tunnel.EXAMPLE:443 KEY\n",
        ]
    )
    func line(text: String) throws {
        let key = try Self.key(1)
        let list = KnownServerList(text.replacing("KEY", with: key.text))
        #expect(list.keys(of: "tunnel.example:443") == [key])
        #expect(list.keys(of: "TUNNEL.example:443") == [key])
        #expect(list.keys(of: "tunnel.example:8443").isEmpty)
        #expect(list.keys(of: "x.tunnel.example:443").isEmpty)
        #expect(list.malformedLines.isEmpty)
    }

    @Test("several lines of a server are several keys, in their order, and each once")
    func several() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        let list = KnownServerList("a:1 \(two)\nb:1 \(one)\nA:1 \(one)\na:1 \(two)\n")
        #expect(list.keys(of: "a:1") == [two, one])
        #expect(list.keys(of: "b:1") == [one])
    }

    @Test(
        "an IPv6 address is in brackets, and each of its spellings is the same server",
        arguments: ["[2001:db8::1]:443", "[2001:DB8:0:0::1]:443", "[2001:0db8:0000::0001]:443"]
    )
    func addresses(spelling: String) throws {
        let key = try Self.key(1)
        #expect(KnownServerList("\(spelling) \(key)\n").keys(of: "[2001:db8::1]:443") == [key])
        #expect(KnownServerList("[2001:db8::1]:443 \(key)\n").keys(of: spelling) == [key])
    }

    @Test(
        "a malformed line is left out and counted, and the lines around it count",
        arguments: [
            "tunnel.example KEY", "tunnel.example: KEY", "tunnel.example:0 KEY", "tunnel.example:65536 KEY",
            "tunnel.example:443", "tunnel.example:443 KEYx", "tunnel.example:443 culvert-key-1:", "KEY",
            "tunnel.example:443 KEY KEY", "tunnel.example:443 culvert-private-key-1:AAAA", "2001:db8::1:443 KEY",
            "[2001:db8::1] KEY", "[tunnel.example]:443 KEY", "tunnel.example,other:443 KEY", "*:443 KEY",
            "tunnel.example:443 KEY#", "tunnel.example:443 # KEY", "tunnel.example:443 \u{1}KEY",
        ]
    )
    func malformed(line: String) throws {
        let key = try Self.key(1)
        let list = KnownServerList("a:1 \(key)\n\(line.replacing("KEY", with: key.text))\nb:1 \(key)\n")
        #expect(list.malformedLines == [2])
        #expect(list.keys(of: "a:1") == [key] && list.keys(of: "b:1") == [key])
        #expect(list.keys(of: "tunnel.example:443").isEmpty)
    }

    @Test("a server whose line has no key that can be read is damaged, also beside a right line, and no other is")
    func damaged() throws {
        let key = try Self.key(1)
        let list = KnownServerList("tunnel.example:443 culvert-key-1:AAA\nother.example:443 \(key)\nnonsense\n")
        #expect(list.isDamaged("Tunnel.Example:443") && list.keys(of: "tunnel.example:443").isEmpty)
        #expect(!list.isDamaged("other.example:443") && !list.isDamaged("tunnel.example:80"))
    }

    @Test("a file of any bytes gives the lines that are right, and the numbers of the others")
    func odd() throws {
        let bytes = Array(try Data(contentsOf: Fixture.url("known-servers/odd")))
        let list = KnownServerList(bytes: bytes)
        #expect(list.keys(of: "tunnel.example:443").map(\.text) == ["culvert-key-1:\(Self.zeros)"])
        #expect(list.keys(of: "last.example:443").map(\.text) == ["culvert-key-1:\(Self.zeros)"])
        #expect(list.malformedLines == [3, 4, 5, 7])
        for end in bytes.indices { _ = KnownServerList(bytes: Array(bytes[..<end])) }
    }

    private static let zeros = String(repeating: "A", count: 43) + "="
}
