import HTTP1
import ProxyConnect
import Testing

@Suite("Messages to a user")
struct ConnectErrorTests {
    private func error(_ inputs: [Input], user: String? = "user", port: Int = 443) throws -> ConnectError {
        var script = Script(try makeExchange(port: port, user: user))
        script.play(inputs)
        return try #require(script.lastError)
    }

    @Test("A refusal by policy names status, squid's reason and the page's title")
    func policy() throws {
        let fields = [
            "Server: squid/5.7", "Via: 1.1 gw (squid/5.7)", "X-Squid-Error: ERR_ACCESS_DENIED 0",
            "Content-Type: text/html;charset=utf-8",
        ]
        let page = "<html><head><style>x</style><TITLE>\nERROR: Access\r\nDenied </TITLE>"
        let error = try error([.says(answer("403 Forbidden", fields, body: page)), .closes], port: 2222)
        #expect(error.isPolicyRefusal)
        #expect(!error.isCredentialRefusal)
        #expect(
            error.description
                == "the proxy forbids a tunnel to tunnel.example.com:2222: it answered HTTP/1.1 403 Forbidden "
                + "(Via: 1.1 gw (squid/5.7); Server: squid/5.7; X-Squid-Error: ERR_ACCESS_DENIED 0): ERROR: Access  Denied"
        )
        #expect(error.remedy.contains("443"))
    }

    @Test("A 407 without a usable scheme names those that are offered")
    func schemes() throws {
        let error = try error([
            .says(
                answer(
                    "407 Auth",
                    ["Proxy-Authenticate: Kerberos", "Proxy-Authenticate: Bearer, Kerberos", "Content-Length: 0"]
                )
            )
        ])
        #expect(error.isCredentialRefusal)
        #expect(error.answer?.offeredSchemes == ["Kerberos", "Bearer"])
        #expect(error.description.contains("offers Kerberos, Bearer"))
        #expect(error.remedy.contains("another proxy"))
    }

    @Test("Without credentials the remedy explains how to give them")
    func needed() throws {
        let error = try error([.says(answer("407 A", ["Proxy-Authenticate: Basic", "Content-Length: 0"]))], user: nil)
        #expect(error.isCredentialRefusal)
        #expect(error.remedy.contains("--proxy-user"))
    }

    @Test("P15 texts from the proxy are escaped and truncated before they reach the terminal")
    func p15_escaped() throws {
        let long = String(repeating: "x", count: 5000)
        let error = try error([
            .says(
                answer(
                    "503 \u{1F600}\t\u{202E}x",
                    ["Server: \(long)", "Content-Length: 9"],
                    body: "\u{1B}[31m\u{7}\r\nx"
                )
            )
        ])
        #expect(error.description.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(error.description.contains("\\u{202E}"))
        #expect(error.answer?.page == "\\u{1B}[31m\\u{7}")
        #expect(error.answer?.server?.unicodeScalars.count == 201)
        #expect(error.description.utf8.count < 1000)
    }

    @Test("A secret that the proxy echoes is not printed")
    func echo() throws {
        var script = Script(try makeExchange(sendAhead: true))
        let echo = "You sent: Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="
        script.play([.says(answer("400 \(echo)", ["Via: \(echo)", "Content-Length: \(echo.utf8.count)"], body: echo))])
        let error = try #require(script.lastError)
        #expect(error.answer?.page == "You sent: Proxy-Authorization: Basic ***")
        var dumped = error.description + error.remedy
        dump(error, to: &dumped)
        dump(script.exchange, to: &dumped)
        #expect(!dumped.contains("dXNlcjpzZWNyZXQ"))
        #expect(!dumped.contains("secret"))
        let start = try makeExchange(sendAhead: true)
        #expect("\(start)" == "CONNECT tunnel.example.com:443")
    }

    @Test(
        "R1 Retry-After is read in seconds, and a date or an invalid value is ignored",
        arguments: [
            ("120", 120), ("0", 0), ("-1", nil), ("Fri, 31 Dec 1999 23:59:59 GMT", nil), ("1.5", nil),
            ("99999999999999999999", nil),
            ("", nil),
        ]
    )
    func r1_retryAfter(_ value: String, _ seconds: Int?) throws {
        let error = try error([.says(answer("503 Busy", ["Retry-After: \(value)", "Content-Length: 0"]))])
        #expect(error.retryAfter == seconds)
    }

    @Test(
        "The page's line is its title, or else its first line with text",
        arguments: [
            ("<title>A</title>", "A"), ("<TITLE lang=en> A </TITLE>", "A"), ("<title></title>\n<h1>B</h1>", "B"),
            ("\n  \n<p><b>C</b> d\ne", "C d"), ("plain", "plain"), ("", nil), ("<>", nil), ("<title", nil),
            ("\n\n", nil),
        ]
    )
    func page(_ body: String, _ line: String?) throws {
        let error = try error([.says(answer("502 x", ["Content-Length: \(body.utf8.count)"], body: body))])
        #expect(error.answer?.page == line)
    }

    @Test(
        "Each status has a remedy",
        arguments: [302, 400, 401, 403, 404, 405, 408, 429, 451, 501, 502, 503, 504, 599, 999]
    )
    func remedies(_ status: Int) throws {
        let error = try error([.says(answer("\(status) x", ["Content-Length: 0"]))])
        #expect(!error.remedy.isEmpty)
        #expect(error.description.contains("HTTP/1.1 \(status) x"))
        #expect(!error.isCredentialRefusal)
        #expect(!error.isConfigurationError)
    }

    @Test("R14 the remedy for a TLS alert names https://")
    func tls() throws {
        #expect(try error([.says("\u{15}\u{3}\u{3}\0\u{2}\u{2}P")]).remedy.contains("https://"))
    }

    @Test("R10 a connection closed after the password is distinguished from one closed without it")
    func closedOverPassword() throws {
        let basic = Input.says(answer("407 A", ["Proxy-Authenticate: Basic", "Content-Length: 0"]))
        let risky = try error([basic, .closes, .closes])
        #expect(risky.kind == .closedWithoutAnswer)
        #expect(risky.isPasswordAtStake)
        #expect(risky.remedy.contains("wrong ones"))
        let harmless = try error([.closes])
        #expect(!harmless.isPasswordAtStake)
        let bare = Input.says(answer("407 A", ["Proxy-Authenticate: NTLM", "Content-Length: 0"]))
        let begun = try error([bare, .closes, .closes])
        #expect(!begun.isPasswordAtStake)
        #expect(begun.hasChallenged)
    }

    @Test(
        "an answer other than 407 does not put the password at stake",
        arguments: ["500", "502", "503", "504", "403", "404", "400", "429", "301"]
    )
    func otherAnswers(status: String) throws {
        let basic = Input.says(answer("407 A", ["Proxy-Authenticate: Basic", "Content-Length: 0"]))
        let error = try error([basic, .says(answer("\(status) x", ["Content-Length: 0"]))])
        #expect(!error.isPasswordAtStake)
    }

    @Test("an answer that is not HTTP does not put the password at stake")
    func noiseAfterPassword() throws {
        let basic = Input.says(answer("407 A", ["Proxy-Authenticate: Basic", "Content-Length: 0"]))
        #expect(try !error([basic, .says("\u{15}\u{3}\u{3}")]).isPasswordAtStake)
    }

    @Test("A9 the caller's own Proxy-Authorization is sent once, and hidden if the proxy echoes it")
    func ownAuthorization() throws {
        let fields = try HeaderFields([("Proxy-Authorization", "Bearer very-secret-token")])
        var script = Script(
            try ConnectExchange(
                host: "a",
                port: 1,
                credentials: ProxyCredentials(user: "u", password: "p"),
                seed: AuthenticationSeed(random: [], unixTime: 0),
                fields: fields
            )
        )
        let page = "you sent very-secret-token"
        script.play([
            .says(answer("407 A", ["Proxy-Authenticate: Basic", "Content-Length: \(page.utf8.count)"], body: page))
        ])
        #expect(script.events.count == 2)
        let error = try #require(script.lastError)
        #expect(error.kind == .ownAuthorizationRefused)
        #expect(!error.description.contains("very-secret-token"))
    }

    @Test("A 502 with which Microsoft's proxies forbid a port is a refusal by policy")
    func forbiddenPort() throws {
        let reason = "Proxy Error ( The specified Secure Sockets Layer (SSL) port is not allowed. )"
        let error = try error([.says(answer("502 \(reason)", ["Content-Length: 0"]))])
        #expect(error.isPolicyRefusal)
    }
}
