import NIOCore
import ProxyConnect
import Testing

/// A scheme of three legs on one connection, as NTLM is.
struct LegsAuthenticator: ProxyAuthenticator {
    var scheme: ProxyScheme { .ntlm }
    var needsSameConnection: Bool { true }
    var maximumLegs = 3
    var count = 0

    mutating func answerAhead(_ request: ProxyAuthenticationRequest) -> String? { nil }

    mutating func answer(
        to challenges: [Challenge],
        _ request: ProxyAuthenticationRequest
    ) -> ProxyAuthenticationStep {
        let token = challenges.first?.token68
        if token == "bad" { return .malformedChallenge }
        if token == "inject" { return .answer("NTLM x\r\nX: y") }
        count += 1
        return .answer("NTLM leg\(count)-\(token ?? "none")")
    }
}

@Suite("Schemes of several legs")
struct MultiLegTests {
    private func play(_ inputs: [Input], _ more: [any ProxyAuthenticator] = []) throws -> [Event] {
        var script = Script(
            try ConnectExchange(
                host: "tunnel.example.com",
                port: 443,
                authenticators: more + [LegsAuthenticator()],
                userAgent: "culvert/1"
            )
        )
        script.play(inputs)
        return Array(script.events.dropFirst())
    }

    private func challenge(_ value: String, _ fields: String...) -> Input {
        .says(answer("407 x", ["Proxy-Authenticate: \(value)", "Content-Length: 0"] + fields))
    }

    @Test("R9 all legs use one connection")
    func oneConnection() throws {
        let events = try play([challenge("NTLM"), challenge("NTLM type2"), .says(answer("200 OK"))])
        let expected: [Event] = [
            .sent(authorized("NTLM leg1-none")), .sent(authorized("NTLM leg2-type2")), .established(leftover: ""),
        ]
        #expect(events == expected)
    }

    @Test("The first leg may use another connection than the challenge")
    func firstReconnects() throws {
        let inputs = [challenge("NTLM", "Connection: close"), challenge("NTLM type2"), .says(answer("200 OK"))]
        #expect(try play(inputs).first == .reconnected(authorized("NTLM leg1-none")))
        #expect(try play(inputs).last == .established(leftover: ""))
        #expect(try play([challenge("NTLM"), .closes]).last == .reconnected(authorized("NTLM leg1-none")))
    }

    @Test("A connection that ends between two legs ends the exchange")
    func connectionNotKept() throws {
        let closed = try play([challenge("NTLM"), challenge("NTLM type2", "Connection: close")])
        #expect(closed.last == .failed(.connectionNotKept(.ntlm)))
        #expect(
            try play([challenge("NTLM"), challenge("NTLM type2"), .closes]).last == .failed(.closedWithoutAnswer)
        )
    }

    @Test(
        "R9 between two legs the connection is kept, although the body's length is missing, doubtful or large",
        arguments: [
            "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM type2\r\nProxy-Connection: Keep-Alive\r\n\r\n",
            "HTTP/1.0 407 x\r\nProxy-Authenticate: NTLM type2\r\nContent-Length: 4\r\n\r\npage",
            "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM type2\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "4\r\npage\r\n0\r\n\r\n",
            "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM type2\r\nContent-Length: 100000\r\n\r\n"
                + String(repeating: "x", count: 100_000),
        ]
    )
    func doubtfulLength(_ second: String) throws {
        let events = try play([challenge("NTLM"), .says(second), .says(answer("200 OK"))])
        let expected: [Event] = [
            .sent(authorized("NTLM leg1-none")), .sent(authorized("NTLM leg2-type2")), .established(leftover: ""),
        ]
        #expect(events == expected)
    }

    @Test("R9 between two legs a body of more than 256 KiB, or until the close, ends the exchange")
    func notKept() throws {
        let long = "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM type2\r\nContent-Length: 262145\r\n\r\n"
        let bare = "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM type2\r\n\r\n"
        for second in [long, bare] {
            #expect(try play([challenge("NTLM"), .says(second)]).last == .failed(.connectionNotKept(.ntlm)))
        }
    }

    @Test("R10 no scheme gets more than three legs")
    func r10_threeLegs() throws {
        let events = try play(Array(repeating: challenge("NTLM again"), count: 10))
        #expect(events.count == 4)
        #expect(events.last == .failed(.credentialsRefused(.ntlm)))
    }

    @Test("R9 R12 the strongest offered scheme is used, and no weaker one after it")
    func strongest() throws {
        let basic = try BasicAuthenticator(ProxyCredentials(user: "user", password: "secret"))
        let both = challenge("Basic realm=x, NTLM")
        #expect(try play([both], [basic]).last == .sent(authorized("NTLM leg1-none")))
        #expect(try play([challenge("Basic realm=x")], [basic]).last == .sent(authorized()))
        #expect(try play([both, challenge("Basic realm=x")], [basic]).last == .failed(.credentialsRefused(.ntlm)))
    }

    @Test("R20 a malformed challenge, or an answer that is not a field value, is an error, not a trap")
    func r20_malformed() throws {
        #expect(try play([challenge("NTLM bad")]).last == .failed(.malformedChallenge(.ntlm)))
        #expect(try play([challenge("NTLM inject")]).last == .failed(.malformedChallenge(.ntlm)))
    }
}
