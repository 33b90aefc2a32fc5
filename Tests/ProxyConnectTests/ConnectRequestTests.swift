import HTTP1
import NIOCore
import ProxyConnect
import Testing

@Suite("The request to the proxy")
struct ConnectRequestTests {
    private func started(_ exchange: ConnectExchange) -> String {
        var exchange = exchange
        guard case .send(let bytes) = exchange.start() else { return "" }
        return String(buffer: bytes)
    }

    @Test("R19 the host's name goes to the proxy unchanged, and an IPv6 address in brackets")
    func r19_target() throws {
        #expect(started(try makeExchange()) == plainRequest)
        for host in ["2001:DB8::1", "[2001:db8::1]"] {
            let text = started(try makeExchange(host: host, port: 8443))
            #expect(text.hasPrefix("CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"))
        }
    }

    @Test(
        "R16 a host or port that cannot be sent is a configuration error",
        arguments: [
            ("", 443), ("a\r\nX: y", 443), ("a b", 443), ("a/b", 443), ("u@a", 443), ("a:1", 443), ("a", 0),
            ("a", 65536), ("a", -1),
            ("127.1", 443), ("a\0", 443), ("\u{E9}", 443),
        ]
    )
    func r16_host(_ host: String, _ port: Int) throws {
        do throws(ConnectError) {
            _ = try ConnectExchange(host: host, port: port, authenticators: [])
            Issue.record("no error")
        } catch {
            #expect(error.kind == .unusableRequest(HTTP1Error(.malformedTarget)))
            #expect(error.isConfigurationError)
            #expect(error.description.utf8.allSatisfy { $0 >= 0x20 })
        }
    }

    @Test("The caller's fields replace the default ones")
    func fields() throws {
        let fields = try HeaderFields([("user-agent", "x/1"), ("X-Corp", "a"), ("Proxy-Authorization", "Bearer t")])
        let credentials = try ProxyCredentials(user: "u", password: "p")
        var exchange = try ConnectExchange(
            host: "a",
            port: 1,
            credentials: credentials,
            seed: AuthenticationSeed(random: [], unixTime: 0),
            fields: fields,
            userAgent: "c",
            sendAhead: true
        )
        guard case .send(let bytes) = exchange.start() else { return }
        let expected =
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Connection: Keep-Alive\r\nuser-agent: x/1\r\n"
            + "X-Corp: a\r\nProxy-Authorization: Bearer t\r\n\r\n"
        #expect(String(buffer: bytes) == expected)
    }

    @Test(
        "A length, a coding or two Hosts among the caller's fields are refused",
        arguments: [
            [("Content-Length", "0")], [("transfer-encoding", "chunked")], [("Host", "a"), ("Host", "a")],
        ]
    )
    func badFields(_ pairs: [(String, String)]) throws {
        let fields = try HeaderFields(pairs)
        #expect(throws: ConnectError.self) {
            try ConnectExchange(host: "a", port: 1, authenticators: [], fields: fields)
        }
    }

    @Test("R16 a user agent with a line end is refused")
    func r16_userAgent() {
        #expect(throws: ConnectError.self) {
            try ConnectExchange(host: "a", port: 1, authenticators: [], userAgent: "x\r\nY: z")
        }
    }

    @Test("R16 a colon in the user's name is refused for Basic")
    func r16_colon() throws {
        let credentials = try ProxyCredentials(user: "a:b", password: "c")
        do throws(ConnectError) {
            _ = try ConnectExchange(
                host: "a",
                port: 1,
                credentials: credentials,
                permitted: [.basic],
                seed: AuthenticationSeed(random: [], unixTime: 0)
            )
            Issue.record("no error")
        } catch {
            #expect(error.kind == .unusableCredentials(.colonInUser))
            #expect(error.isConfigurationError)
        }
    }

    @Test(
        "RFC 7617 Basic is UTF-8 in padded base64",
        arguments: [
            ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("test", "123\u{A3}", "dGVzdDoxMjPCow=="),
            ("", "x", "Ong="),
            ("user", "secret", "dXNlcjpzZWNyZXQ="), ("u", "a:b", "dTphOmI="), ("\u{FF}?", "~>>\u{FF}", "w78/On4+PsO/"),
        ]
    )
    func rfc7617_basic(_ user: String, _ password: String, _ encoded: String) throws {
        let text = started(try makeExchange(user: user, password: password, sendAhead: true))
        #expect(text.hasSuffix("Proxy-Authorization: Basic \(encoded)\r\n\r\n"))
    }

    @Test("An exchange reports the scheme that it used")
    func scheme() throws {
        #expect(try makeExchange().scheme == nil)
        var script = Script(try makeExchange())
        script.play([.says(answer("407 x", ["Proxy-Authenticate: Basic", "Content-Length: 0"]))])
        #expect(script.exchange.scheme == .basic)
    }
}
