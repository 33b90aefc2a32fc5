import NIOCore
import NetworkAddress
import TestSupport
import Testing

@testable import ClientHello

@Suite("The reader of ClientHellos")
struct ClientHelloReaderTests {
    private func hello(_ change: (inout HelloParts) -> Void) throws -> Outcome {
        var parts = HelloParts(try fixture("openssl-alpn"))
        change(&parts)
        return read([parts.record])
    }

    private func name(_ text: String) throws -> String? {
        guard case .hello(let hello) = try hello({ $0[0] = serverNames((0, text)) }) else {
            Issue.record("\(text) is refused")
            return nil
        }
        return hello.serverName
    }

    @Test(
        "A name is in lower case and without its final dot",
        arguments: [
            ("A.Example.COM", "a.example.com"), ("a.example.com.", "a.example.com"), ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("_a-b.9.example", "_a-b.9.example"),
        ]
    )
    func names(_ text: String, _ expected: String) throws {
        #expect(try name(text) == expected)
    }

    @Test("A name has at most 253 bytes, and a final dot is not one of them")
    func longName() throws {
        let longest = (Array(repeating: String(repeating: "a", count: 62), count: 4) + ["b"]).joined(separator: ".")
        #expect(longest.utf8.count == 253)
        #expect(try name(longest) == longest)
        #expect(try name(longest + ".") == longest)
        #expect(try hello { $0[0] = serverNames((0, longest + "b")) } == .failure(.malformed(.serverName)))
    }

    @Test("An IP address is not a name", arguments: ["127.0.0.1", "127.0.0.1.", "::1", "[::1]", "2001:DB8::1"])
    func addresses(_ text: String) throws {
        #expect(try name(text) == nil)
    }

    @Test("A name of an unknown type is skipped")
    func otherTypes() throws {
        let expected = try hello { $0[0] = serverNames((0, "b.example")) }
        #expect(try hello { $0[0] = serverNames((1, "x"), (0, "b.example"), (255, "\0")) } == expected)
    }

    @Test("A protocol that is not UTF-8 does not harm the others")
    func protocolsAreBytes() throws {
        let outcome = try hello { $0[16] = prefixed16(prefixed8([0xFA, 0xFA]) + prefixed8(Array("h2".utf8))) }
        guard case .hello(let hello) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(hello.applicationProtocols == ["\u{FFFD}\u{FFFD}", "h2"])
    }

    @Test("A hello without extensions, or with an empty list of them, asks for nothing")
    func noExtensions() throws {
        #expect(try hello { $0.extensions = [] } == .hello(ClientHello()))
        var parts = HelloParts(try fixture("openssl-name"))
        parts.extensions = []
        #expect(read([wire(handshake(Array(parts.body.dropLast(2))))]) == .hello(ClientHello()))
    }

    @Test("The versions of records and hello are not compared")
    func versions() throws {
        let expected = try hello { _ in }
        for minor: UInt8 in [0, 1, 3, 4, 255] {
            var bytes = try fixture("openssl-alpn")
            bytes[2] = minor
            #expect(read([bytes]) == expected)
        }
        #expect(try hello { $0.start[1] = 0 } == expected)
    }

    @Test("Each byte of the wire is examined once, and each byte of the message once more")
    func linearWork() throws {
        let files = [
            ("openssl-in-records-of-1", "openssl-tls12"), ("chromium", "chromium"),
            ("chromium-in-records-of-512", "chromium"),
        ]
        for (name, original) in files {
            let (bytes, message) = (try fixture(name), try fixture(original))
            var reader = ClientHelloReader()
            for byte in bytes {
                #expect(reader.bytesExamined < bytes.count)
                _ = try reader.receive(ByteBuffer(bytes: [byte]).readableBytesView)
            }
            // Record header and message header are not parsed again.
            #expect(reader.bytesExamined == bytes.count + message.count - 5 - 4)
        }
    }

    @Test("What follows the hello is not examined, and each further call returns the hello")
    func following() throws {
        let bytes = try fixture("curl")
        var reader = ClientHelloReader()
        let hello = try reader.receive(ByteBuffer(bytes: bytes + [0, 1, 2]).readableBytesView)
        #expect(hello != nil)
        let examined = reader.bytesExamined
        #expect(try reader.receive(ByteBuffer(bytes: [0xFF]).readableBytesView) == hello)
        #expect(reader.bytesExamined == examined)
    }

    @Test("After an error each call throws it again")
    func sticky() throws {
        var reader = ClientHelloReader()
        for bytes in [Array("GET".utf8), try fixture("curl"), []] {
            #expect(throws: ClientHelloError.notTLS) {
                try reader.receive(ByteBuffer(bytes: bytes).readableBytesView)
            }
        }
    }

    @Test("A message of 16 KiB is read, and one byte more is refused with its header")
    func longMessage() throws {
        var parts = HelloParts(try fixture("openssl-alpn"))
        let padding: UInt16 = 21
        parts[padding] = []
        parts[padding] = Array(repeating: 0, count: 16_384 - 4 - parts.body.count)
        let bytes = parts.record
        #expect(bytes.count == 5 + ClientHelloReader.maximumMessageBytes)
        #expect(read([bytes]) == (try hello { _ in }))
        parts[padding].append(0)
        let tooLong = wire(handshake(parts.body), size: 8_192)
        #expect(read([tooLong]) == .failure(.helloTooLong))
        #expect(read([Array(tooLong.prefix(9))]) == .failure(.helloTooLong))
    }

    @Test("A reader never wants more than its bound of bytes")
    func wireBound() throws {
        var parts = HelloParts(try fixture("openssl-alpn"))
        parts[21] = Array(repeating: 0, count: 8_000)
        let bytes = wire(handshake(parts.body), size: 1)
        #expect(bytes.count > ClientHelloReader.maximumWireBytes)
        #expect(read([bytes]) == .failure(.tooManyRecords))
        // All of the bound is never needed: before it the reader knows that the next record would pass it.
        #expect(read([Array(bytes.prefix(ClientHelloReader.maximumWireBytes))]) == .failure(.tooManyRecords))
    }
}
