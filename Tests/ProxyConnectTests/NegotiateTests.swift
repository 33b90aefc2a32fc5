import NIOCore
import ProxyConnect
import Testing

@Suite("Negotiate, with tickets from the caller")
struct NegotiateTests {
    private static let none = TicketFailure(reason: "no credentials cache", remedy: "run kinit")

    private func play(
        _ user: String?,
        _ inputs: [Input],
        permitted: Set<ProxyScheme> = ProxyScheme.all
    ) throws -> [Event] {
        var script = Script(try makeExchange(user: user, permitted: permitted))
        script.play(inputs)
        var bytes = Script(try makeExchange(user: user, permitted: permitted))
        bytes.play(inputs) { $0.map { [$0] } }
        #expect(bytes.events == script.events, "byte by byte")
        return Array(script.events.dropFirst())
    }

    private func challenge(_ value: String, _ fields: String...) -> Input {
        .says(answer("407 x", ["Proxy-Authenticate: \(value)", "Content-Length: 4"] + fields, body: "page"))
    }

    @Test("A ticket opens the tunnel, without any credentials")
    func ticket() throws {
        let events = try play(nil, [challenge("Negotiate"), .ticket(.success([1, 2, 3])), .says(answer("200 OK"))])
        let expected: [Event] = [
            .wantsTicket(nil), .sent(authorized("Negotiate AQID")), .established(leftover: ""),
        ]
        #expect(events == expected)
    }

    @Test("The proxy's token is passed on for the next ticket")
    func secondLeg() throws {
        let inputs = [
            challenge("Negotiate"), .ticket(.success([1])), challenge("Negotiate BAUG"), .ticket(.success([7])),
            .says(answer("200 OK")),
        ]
        let expected: [Event] = [
            .wantsTicket(nil), .sent(authorized("Negotiate AQ==")), .wantsTicket([4, 5, 6]),
            .sent(authorized("Negotiate Bw==")), .established(leftover: ""),
        ]
        #expect(try play(nil, inputs) == expected)
    }

    @Test("A connection that ends while the ticket is fetched is dialled again")
    func closedMeanwhile() throws {
        let reconnected = Event.reconnected(authorized("Negotiate AQ=="))
        #expect(try play(nil, [challenge("Negotiate"), .closes, .ticket(.success([1]))]).last == reconnected)
        let closing = [challenge("Negotiate", "Connection: close"), .ticket(.success([1]))]
        #expect(try play(nil, closing).last == reconnected)
        let earlyBytes = [challenge("Negotiate"), .says("more"), .ticket(.success([1]))]
        #expect(try play(nil, earlyBytes).last == reconnected)
    }

    @Test("Without a ticket the strongest other scheme is used: NTLM before Basic")
    func fallsBack() throws {
        let inputs = [challenge("Negotiate, Basic realm=x, NTLM"), .ticket(.failure(Self.none))]
        guard case .sent(let text) = try play("user", inputs).last else {
            Issue.record("nothing was sent")
            return
        }
        #expect(text.contains("Proxy-Authorization: NTLM TlRMTVNTUAAB"))
        let basic = [challenge("Negotiate, Basic realm=x"), .ticket(.failure(Self.none))]
        let events = try play("user", basic, permitted: [.basic, .negotiate])
        #expect(events == [.wantsTicket(nil), .sent(authorized())])
    }

    @Test("NTLM under the name Negotiate is tried before Basic, which follows if the proxy does not continue NTLM")
    func ntlmUnderNegotiate() throws {
        let inputs = [
            challenge("Negotiate, Basic realm=x"), .ticket(.failure(Self.none)), challenge("Negotiate, Basic realm=x"),
            .says(answer("200 OK")),
        ]
        let events = try play("user", inputs)
        #expect(events.count == 4)
        guard events.count == 4, case .sent(let first) = events[1] else { return }
        #expect(first.contains("Proxy-Authorization: Negotiate TlRMTVNTUAAB"))
        // Squid accepts no other scheme on a connection that has begun this one.
        #expect(events[2] == .reconnected(authorized()))
        #expect(events[3] == .established(leftover: ""))
    }

    @Test("If the proxy refuses a ticket, a configured password is used")
    func refusedTicket() throws {
        let both = challenge("Negotiate, Basic realm=x")
        let inputs = [both, .ticket(.success([1])), both]
        #expect(try play("user", inputs, permitted: [.basic, .negotiate]).last == .reconnected(authorized()))
        let only = [challenge("Negotiate"), .ticket(.success([1])), challenge("Negotiate")]
        #expect(try play(nil, only).last == .failed(.schemeNotTaken(.negotiate)))
        let gone = [challenge("Negotiate"), .ticket(.success([1])), challenge("Basic realm=x")]
        #expect(try play(nil, gone).last == .failed(.schemeNotTaken(.negotiate)))
    }

    @Test("Without a ticket and another scheme, the error has the library's reason and remedy")
    func noTicket() throws {
        var script = Script(try makeExchange(user: nil))
        script.play([challenge("Negotiate"), .ticket(.failure(Self.none))])
        let error = try #require(script.lastError)
        #expect(error.kind == .noTicket(Self.none))
        #expect(error.description.contains("no credentials cache"))
        #expect(error.remedy == "run kinit")
        #expect(!error.isCredentialRefusal)
    }

    @Test("R10 at most three tickets are used")
    func r10_threeTickets() throws {
        let again = challenge("Negotiate AQID")
        let ticket = Input.ticket(.success([1]))
        let events = try play(
            nil,
            [challenge("Negotiate"), ticket, again, ticket, again, ticket, again, ticket, again]
        )
        #expect(events.last == .failed(.credentialsRefused(.negotiate)))
        #expect(events.count == 7)
    }

    @Test("R20 a token that is not base64 is malformed")
    func r20_malformed() throws {
        let inputs = [challenge("Negotiate"), .ticket(.success([1])), challenge("Negotiate A")]
        #expect(try play(nil, inputs).last == .failed(.malformedChallenge(.negotiate)))
    }

    @Test("A ticket that arrives after the deadline changes nothing")
    func late() throws {
        var script = Script(try makeExchange(user: nil))
        script.play([challenge("Negotiate")])
        guard case .noTicket = script.exchange.deadline().kind else {
            Issue.record("another error")
            return
        }
        #expect(script.exchange.ticket(.success([1])) == nil)
    }
}
