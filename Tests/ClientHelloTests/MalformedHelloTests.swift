import ClientHello
import TestSupport
import Testing

/// Changes of a real hello, each with the error that it must give.
@Suite("Malformed ClientHellos")
struct MalformedHelloTests {
    static let records: [MalformedHello] = [
        .bytes("a request", Array("GET / HTTP/1.1\r\n".utf8), .notTLS),
        .bytes("the banner of SSH", Array("SSH-2.0-x\r\n".utf8), .notTLS),
        .bytes("a byte 0", [0], .notTLS),
        .bytes("a type below TLS's", [19], .notTLS),
        .bytes("a type above TLS's", [25], .notTLS),
        .bytes("the version of no TLS", [0x16, 2], .notTLS),
        .bytes("an alert's type with the version of no TLS", [0x15, 0x41], .notTLS),
        .bytes("a hello of SSL 2", [0x80, 0x2E, 1, 3, 1, 0, 0x15], .sslv2),
        .bytes("a long hello of SSL 2", [0xFF, 0xFF, 1], .sslv2),
        .bytes("another message of SSL 2", [0x80, 0x2E, 2], .notTLS),
        .bytes("an alert", [0x15, 3, 1, 0, 2, 2, 40], .alert),
        .bytes("data in place of a handshake", [0x17, 3, 3, 0, 1, 0], .unexpectedRecord),
        .bytes("a change of cipher", [0x14, 3, 3, 0, 1, 1], .unexpectedRecord),
        .raw("an empty record", .emptyRecord) { $0.replaceSubrange(3..<5, with: [0, 0]) },
        .raw("an empty record in between", .emptyRecord) {
            $0 = wire(Array($0[5..<100])) + [0x16, 3, 1, 0, 0] + wire(Array($0[100...]))
        },
        .raw("an empty record within the message's header", .emptyRecord) {
            $0 = wire(Array($0[5..<7])) + [0x16, 3, 1, 0, 0] + wire(Array($0[7...]))
        },
        .raw("a record one byte too long", .recordTooLong) { $0.replaceSubrange(3..<5, with: [0x40, 1]) },
        .raw("the longest record that can be written", .recordTooLong) { $0.replaceSubrange(3..<5, with: [255, 255]) },
        .raw("an alert in between", .alert) { $0 = wire(Array($0[5..<100])) + [0x15, 3, 1, 0, 2, 2, 40] },
        .raw("data in between", .unexpectedRecord) { $0 = wire(Array($0[5..<100])) + [0x17, 3, 3, 0, 1, 0] },
        .raw("no record in between", .unexpectedRecord) { $0 = wire(Array($0[5..<100])) + Array("GET".utf8) },
        .raw("a hello of SSL 2 in between", .unexpectedRecord) { $0 = wire(Array($0[5..<100])) + [0x80, 0x2E, 1] },
        .raw("another version in between", .malformed(.recordVersion)) {
            $0 = wire(Array($0[5..<100])) + [0x16, 2, 1] + prefixed16(Array($0[100...]))
        },
    ]

    static let messages: [MalformedHello] = [
        .raw("a HelloRequest", .notClientHello) { $0[5] = 0 },
        .raw("a ServerHello", .notClientHello) { $0[5] = 2 },
        .raw("a message of unknown type", .notClientHello) { $0[5] = 255 },
        .raw("a message longer than the bound", .helloTooLong) { $0.replaceSubrange(6..<9, with: [0, 0x3F, 0xFD]) },
        .raw("the longest message that can be written", .helloTooLong) {
            $0.replaceSubrange(6..<9, with: [255, 255, 255])
        },
        .raw("a message shorter than its record", .malformed(.message)) { $0[8] -= 1 },
        .raw("an empty message", .malformed(.sessionID)) { $0 = wire(handshake([])) + $0 },
        .raw("a second message in the record", .malformed(.message)) { $0 = wire(Array($0[5...]) + Array($0[5...])) },
        .raw("a byte behind the message in its last record", .malformed(.message)) {
            $0 = wire(Array($0[5..<100])) + wire(Array($0[100...]) + [0])
        },
        .body("no random", .malformed(.sessionID)) { Array($0.start.prefix(33)) },
        .body("no session identifier", .malformed(.sessionID)) { $0.start },
        .body("a session identifier that does not fit", .malformed(.sessionID)) { $0.start + [32, 1, 2, 3] },
        .parts("a session identifier of 33 bytes", .malformed(.sessionID)) {
            $0.sessionID = Array(repeating: 1, count: 33)
        },
        .body("no cipher suites", .malformed(.cipherSuites)) { $0.start + prefixed8($0.sessionID) + [0] },
        .parts("an empty list of cipher suites", .malformed(.cipherSuites)) { $0.suites = [] },
        .parts("half a cipher suite", .malformed(.cipherSuites)) { $0.suites.append(0) },
        .body("cipher suites that do not fit", .malformed(.cipherSuites)) {
            $0.start + prefixed8($0.sessionID) + [255, 255, 0x13, 1]
        },
        .parts("an empty list of compression methods", .malformed(.compressionMethods)) { $0.methods = [] },
        .body("compression methods that do not fit", .malformed(.compressionMethods)) {
            $0.start + prefixed8($0.sessionID) + prefixed16($0.suites) + [2, 0]
        },
        .body("one byte of extensions", .malformed(.extensions)) { parts in
            var parts = parts
            parts.extensions = []
            return parts.body.dropLast()
        },
        .body("extensions longer than the message", .malformed(.extensions)) { $0.body.dropLast() },
        .body("a byte behind the extensions", .malformed(.extensions)) { $0.body + [0] },
        .body("a list of extensions that ends within a type", .malformed(.extensions)) { $0.body(extensions: [0]) },
        .body("a list of extensions that ends within a length", .malformed(.extensions)) {
            $0.body(extensions: [0, 0, 0])
        },
        .body("an extension longer than the list", .malformed(.extensions)) {
            $0.body(extensions: [0, 0, 0, 2, 0])
        },
        .parts("two names in two extensions", .duplicateExtension(0)) {
            $0.extensions.append(HelloParts.Extension(type: 0, data: serverNames((0, "b.example"))))
        },
        .parts("ALPN twice", .duplicateExtension(16)) { $0.extensions += $0.extensions.filter { $0.type == 16 } },
        .parts("an unknown extension twice", .duplicateExtension(0xABCD)) {
            $0.extensions += Array(repeating: HelloParts.Extension(type: 0xABCD, data: []), count: 2)
        },
    ]

    static let contents: [MalformedHello] = [
        .serverName("no list", []),
        .serverName("an empty list", [0, 0]),
        .serverName("half a length", [0]),
        .serverName("a list longer than the extension", [0, 5, 0, 0, 1, 0x61]),
        .serverName("a byte behind the list", serverNames((0, "a.example")) + [0]),
        .serverName("an entry without a length", [0, 1, 0]),
        .serverName("an entry longer than the list", [0, 4, 0, 0, 2, 0x61]),
        .serverName("two names", serverNames((0, "a.example"), (0, "b.example"))),
        .serverName("the same name twice", serverNames((0, "a.example"), (0, "a.example"))),
        .serverName("an empty name", serverNames((0, ""))),
        .serverName("an empty name of another type", serverNames((0, "a.example"), (1, ""))),
        .serverName("a dot", serverNames((0, "."))),
        .serverName("two final dots", serverNames((0, "a.example.."))),
        .serverName("an empty label", serverNames((0, "a..example"))),
        .serverName("a dot in front", serverNames((0, ".example"))),
        .serverName("NUL", serverNames((0, "a.example\0.b.example"))),
        .serverName("NUL at the end", serverNames((0, "a.example\0"))),
        .serverName("a line end", serverNames((0, "a.example\r\nX: y"))),
        .serverName("a space", serverNames((0, "a example"))),
        .serverName("a port", serverNames((0, "a.example:443"))),
        .serverName("a slash", serverNames((0, "../a.example"))),
        .serverName("a wildcard", serverNames((0, "*.example"))),
        .serverName("a letter outside of ASCII", serverNames((0, "b\u{FC}cher.example"))),
        .serverName("bytes that are not UTF-8", [0, 6, 0, 0, 3, 0x61, 0xFF, 0x62]),
        .serverName("a short form of an address", serverNames((0, "127.1"))),
        .serverName("an address with a zone", serverNames((0, "fe80::1%eth0"))),
        .serverName("a label of 64 bytes", serverNames((0, String(repeating: "a", count: 64) + ".example"))),
        .serverName("a name of 16,000 bytes", serverNames((0, String(repeating: "a.", count: 7_500) + "b"))),
        .protocols("no list", []),
        .protocols("an empty list", [0, 0]),
        .protocols("an empty protocol", [0, 1, 0]),
        .protocols("a protocol longer than the list", [0, 3, 3, 0x68, 0x32]),
        .protocols("a list longer than the extension", [0, 4, 2, 0x68, 0x32]),
        .protocols("a byte behind the list", [0, 3, 2, 0x68, 0x32, 0]),
        .versions("no list", []),
        .versions("an empty list", [0]),
        .versions("half a version", [3, 3, 4, 3]),
        .versions("a list longer than the extension", [4, 3, 4]),
        .versions("a byte behind the list", [2, 3, 4, 0]),
    ]

    @Test(
        "A malformed hello gives its error whole, byte by byte and at every split",
        arguments: records + messages + contents
    )
    func refused(_ row: MalformedHello) throws {
        let bytes = try row.bytes()
        let expected = Outcome.failure(row.expected)
        #expect(read([bytes]) == expected)
        #expect(read(bytes.map { [$0] }) == expected)
        for index in bytes.indices.prefix(1_024) {
            #expect(read([Array(bytes[..<index]), Array(bytes[index...])]) == expected, "split at \(index)")
        }
    }

    @Test("An error's text names the part, and has no byte of the peer")
    func texts() {
        for row in Self.records + Self.messages + Self.contents {
            let text = row.expected.description
            #expect(!text.isEmpty && !text.contains("example"))
        }
    }

    @Test("A hello that is cut short asks for more bytes, wherever it is cut")
    func truncated() throws {
        let bytes = try fixture("openssl-alpn")
        for count in bytes.indices { #expect(read([Array(bytes.prefix(count))]) == .more) }
    }
}
