import NIOCore
import ProxyConnect
import Testing

@Suite("Messages to a user behind a SOCKS proxy")
struct SocksErrorTests {
    private func error(_ bytes: [UInt8], user: String? = "user", closing: Bool = true) throws -> SocksError {
        var script = SocksScript(try makeSocksExchange(user: user))
        script.say([bytes])
        if closing { script.close() }
        return try #require(script.lastError)
    }

    @Test(
        "Each error states what the proxy answered, and a remedy",
        arguments: [
            ("05 FF", "another kind of authentication than user and password", "GSSAPI"),
            ("05 02 01 01", "refused the credentials (status 1)", "wrong tries may lock the account"),
            ("05 00 05 01", "no tunnel to tunnel.example.com:443: general failure (reply 1)", "cannot resolve"),
            (
                "05 00 05 02", "forbids a tunnel to tunnel.example.com:443: not allowed by its rules (reply 2)",
                "443 only"
            ),
            ("05 00 05 03", "network unreachable (reply 3)", "no way to tunnel.example.com:443"),
            ("05 00 05 04", "host unreachable (reply 4)", "no way to tunnel.example.com:443"),
            ("05 00 05 05", "connection refused (reply 5)", "that the server runs"),
            ("05 00 05 06", "time to live expired (reply 6)", "drop connections"),
            ("05 00 05 07", "command not supported (reply 7)", "another proxy with --proxy"),
            ("05 00 05 08", "address type not supported (reply 8)", "IPv4"),
            ("05 00 05 5B", "an unknown code (reply 91)", "administrators"),
            ("05 03", "chose authentication method 3, which was not offered", "host and port in --proxy"),
            ("05 02 05 00", "version 5 of the answer to the credentials", "host and port in --proxy"),
            ("05 00 00 5A", "version 0 of the reply", "host and port in --proxy"),
            ("05 00 05 00 00 07", "an address of the unknown type 7", "host and port in --proxy"),
            ("15 03 03 00 02 02 46", "speaks TLS; it begins with \"\\u{15}\\u{3}\\u{3}", "--proxy https://"),
            ("48 54 54 50 2F 31 2E 30 20 34 30 30", "speaks HTTP; it begins with \"HTTP/1.0 400\"", "--proxy http://"),
            ("3C 68 74 6D 6C 3E", "speaks HTTP; it begins with \"<html>\"", "--proxy http://"),
            ("00 5B", "speaks SOCKS 4", "SOCKS 4 is not spoken here"),
            ("53 53 48 2D", "speaks something else; it begins with \"SSH-\"", "host and port in --proxy"),
            ("", "closed the connection without an answer", "http://, or https://"),
            ("05 02", "closed the connection when it had been sent the credentials", "on wrong credentials"),
            (
                "05 00", "closed the connection when it had been asked for tunnel.example.com:443",
                "server's name and port"
            ),
        ]
    )
    func words(_ bytes: String, _ description: String, _ remedy: String) throws {
        let error = try error(octets(bytes))
        #expect(error.description.contains(description))
        #expect(error.remedy.contains(remedy))
        #expect(error.target == "tunnel.example.com:443")
        #expect(!error.isConfigurationError)
    }

    @Test("Without credentials the remedy explains how to give them")
    func needed() throws {
        let error = try error([5, 0xFF], user: nil)
        #expect(error.description == "the proxy wants credentials")
        #expect(error.isCredentialRefusal)
        #expect(error.remedy.contains("--proxy-user"))
        #expect(error.remedy.contains("--proxy-password-file"))
    }

    @Test("Only failures caused by the credentials count as their refusal")
    func refusals() throws {
        #expect(try error([5, 0xFF]).isCredentialRefusal)
        #expect(try error([5, 2, 1, 1]).isCredentialRefusal)
        #expect(try !error([5, 2]).isCredentialRefusal)
        #expect(try !error([5, 0, 5, 2]).isCredentialRefusal)
        #expect(try error([5, 0, 5, 2]).isPolicyRefusal)
        #expect(try !error([5, 0, 5, 1]).isPolicyRefusal)
    }

    @Test(
        "At the deadline the error names the last request to the proxy",
        arguments: [
            ("", .greeting, "did not answer in time", "http://"),
            ("05", .greeting, "did not answer in time", "http://"),
            ("05 02", .authentication, "did not answer the credentials", "try again"),
            ("05 02 01 00", .request, "did not connect to tunnel.example.com:443 in time", "unable to reach it"),
            ("05 00 05 00 00 01", .request, "did not connect", "unable to reach it"),
            ("05 00 05 02", .greeting, "did not answer in time", "http://"),
        ] as [(String, SocksStep, String, String)]
    )
    func deadline(_ bytes: String, _ step: SocksStep, _ description: String, _ remedy: String) throws {
        var script = SocksScript(try makeSocksExchange())
        script.say([octets(bytes)])
        let error = script.exchange.deadline()
        #expect(error.kind == .silence(step))
        #expect(error.description.contains(description))
        #expect(error.remedy.contains(remedy))
        var late = ByteBuffer(bytes: [5, 0])
        let action = script.exchange.receive(&late)
        #expect(action == nil)
        #expect(late.readableBytes == 2)
        #expect(script.exchange.connectionClosed() == nil)
    }

    @Test("An exchange that has not started fails as one without an answer, and reads nothing")
    func idle() throws {
        var exchange = try makeSocksExchange()
        var early = ByteBuffer(bytes: [5, 0])
        let action = exchange.receive(&early)
        #expect(action == nil)
        #expect(early.readableBytes == 2)
        let late = exchange.deadline()
        #expect(late.kind == .silence(.greeting))
        exchange = try makeSocksExchange()
        guard case .fail(let error) = exchange.connectionClosed() else {
            Issue.record("no error")
            return
        }
        #expect(error.kind == .closed(.greeting))
    }

    @Test("P15 texts from the proxy are escaped and truncated before they reach the terminal")
    func p15_escaped() throws {
        let error = try error(Array("<\u{1B}[31m\u{202E}\u{7}".utf8) + [UInt8](repeating: 0xFF, count: 5000))
        #expect(error.description.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(error.start.hasPrefix("<\\u{1B}[31m\\u{202E}\\u{7}"))
        #expect(error.description.utf8.count < 500)
    }

    @Test("No secret appears in a printed or dumped exchange, action or error")
    func secrets() throws {
        var shown = ""
        let login = SocksExchangeTests.login
        for answer in [[5, 2], [5, 2, 1, 0], [5, 2] + login, [5, 2, 2] + login] as [[UInt8]] {
            var exchange = try makeSocksExchange()
            dump(exchange.start(), to: &shown)
            var buffer = ByteBuffer(bytes: answer)
            while let action = exchange.receive(&buffer) {
                dump(action, to: &shown)
                shown += "\(action) \(String(reflecting: action))"
                if case .fail(let error) = action { shown += error.description + error.remedy }
            }
            dump(exchange, to: &shown)
            shown += "\(exchange) \(String(reflecting: exchange))"
        }
        // The remedy contains "user", so only the password is checked; 115 is its first byte in a dump.
        #expect(!shown.contains("secret"))
        #expect(!shown.contains("115"))
        #expect(shown.contains("SOCKS 5 CONNECT tunnel.example.com:443"))
        #expect(shown.contains("send 13 bytes"))
        #expect(shown.contains("fail: the proxy refused the credentials (status 4)"))
        #expect("\(SocksExchange.Action.established)" == "established")
        #expect("\(SocksReply.succeeded)" == "succeeded (reply 0)")
    }
}
