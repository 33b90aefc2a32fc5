import ProxyConnect
import Testing

@Suite("Messages to a SOCKS proxy")
struct SocksRequestTests {
    @Test(
        "R19 a name is sent as a name, and an address as an address",
        arguments: [
            ("a.b", 1, "03 03 61 2E 62 00 01"), ("a.b.", 80, "03 04 61 2E 62 2E 00 50"),
            ("localhost", 65535, "03 09 6C 6F 63 61 6C 68 6F 73 74 FF FF"), ("192.0.2.1", 443, "01 C0 00 02 01 01 BB"),
            ("::1", 443, "04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 01 BB"),
            ("[2001:db8::2]", 443, "04 20 01 0D B8 00 00 00 00 00 00 00 00 00 00 00 02 01 BB"),
            ("::ffff:192.0.2.1", 443, "04 00 00 00 00 00 00 00 00 00 00 FF FF C0 00 02 01 01 BB"),
        ]
    )
    func r19_addresses(_ host: String, _ port: Int, _ address: String) throws {
        var script = SocksScript(try makeSocksExchange(host: host, port: port, user: nil))
        script.say([[5, 0]])
        #expect(script.events.last == .sent([5, 1, 0] + octets(address)))
    }

    @Test("R16 credentials of 255 bytes are sent, and an empty password with length 0")
    func r16_credentials() throws {
        let long = String(repeating: "ü", count: 127) + "x"
        for (user, password) in [(long, long), ("u", "")] {
            var script = SocksScript(try makeSocksExchange(user: user, password: password))
            script.say([[5, 2]])
            let expected = [[1, UInt8(user.utf8.count)], Array(user.utf8), [UInt8(password.utf8.count)]].joined()
            #expect(script.events.last == .sent(expected + Array(password.utf8)))
        }
    }

    @Test(
        "R16 values that cannot be sent are errors before the dial",
        arguments: [
            ("", 1, "u", "p", .unusableHost), ("a\r\nb", 1, "u", "p", .unusableHost),
            ("127.1", 1, "u", "p", .unusableHost), ("[::1", 1, "u", "p", .unusableHost),
            ("a b", 1, "u", "p", .unusableHost), ("a\0", 1, "u", "p", .unusableHost),
            (String(repeating: "abc.", count: 64), 1, "u", "p", .unusableHost),
            ("a", 0, "u", "p", .unusablePort), ("a", -1, "u", "p", .unusablePort),
            ("a", 65536, "u", "p", .unusablePort),
            ("a", .max, "u", "p", .unusablePort), ("a", .min, "u", "p", .unusablePort), ("a", 1, "", "p", .emptyUser),
            ("a", 1, String(repeating: "u", count: 256), "p", .longUser),
            ("a", 1, "u", String(repeating: "ü", count: 128), .longPassword),
        ] as [(String, Int, String, String, SocksError.Kind)]
    )
    func r16_unusable(_ host: String, _ port: Int, _ user: String, _ password: String, _ kind: SocksError.Kind) throws {
        let credentials = try ProxyCredentials(user: user, password: password)
        let error = try #require(throws: SocksError.self) {
            _ = try SocksExchange(host: host, port: port, credentials: credentials)
        }
        #expect(error.kind == kind)
        #expect(error.isConfigurationError)
        #expect(!error.isCredentialRefusal && !error.isPolicyRefusal)
        #expect(!error.remedy.isEmpty)
        #expect(
            (error.description + error.target).unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        )
    }
}
