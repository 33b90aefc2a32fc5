import Crypto
import HTTP1
import Testing

@testable import ACME

@Suite("One order at a CA") struct CertificateOrderTests {
    private let name = CertificateName.of("app.example.com")
    private let ca: FakeAuthority
    private let key = AccountKey()

    init() throws { ca = try FakeAuthority() }

    /// What an order has come to, and what it did on the way.
    private struct Run {
        var result: Result<IssuedCertificate, OrderFailure>
        var answers: [ChallengeAnswer] = []
        var waits: [Int] = []
        var authority: AuthorityState
        var hasOrdered: Bool
    }

    private func order(
        _ challenges: [ChallengeKind] = [.tlsALPN01, .http01],
        authority: AuthorityState = AuthorityState(),
        replacing: String? = nil,
        contact: String? = nil,
        /// What the network does with the request of that number; nil for nothing.
        network: (Int) -> OrderFailure? = { _ in nil }
    ) throws -> Run {
        var order = CertificateOrder(
            for: name,
            from: try ACMEURL(ca.directory),
            contact: contact,
            key: key,
            authority: authority,
            challenges: challenges,
            replacing: replacing
        )
        var (answers, waits): ([ChallengeAnswer], [Int]) = ([], [])
        var step = order.start()
        var requests = 0
        while true {
            switch step {
            case .send(let request):
                requests += 1
                try #require(requests <= ACMELimits.requests)
                if let failure = network(requests) {
                    step = order.unreachable(failure)
                } else {
                    let answer = ca.answer(request.method.rawValue, request.url.target, request.body)
                    step = order.received(answer, now: 1_000)
                }
            case .wait(let seconds):
                waits.append(seconds)
                step = order.waited()
            case .present(let answer):
                answers.append(answer)
                step = order.presented()
            case .issued(let issued):
                return Run(
                    result: .success(issued),
                    answers: answers,
                    waits: waits,
                    authority: order.authority,
                    hasOrdered: order.hasOrdered
                )
            case .failed(let failure):
                return Run(
                    result: .failure(failure),
                    answers: answers,
                    waits: waits,
                    authority: order.authority,
                    hasOrdered: order.hasOrdered
                )
            }
        }
    }

    private func failure(_ run: Run) throws -> OrderFailure {
        guard case .failure(let failure) = run.result else {
            Issue.record("a certificate was issued")
            throw CancellationError()
        }
        return failure
    }

    @Test(
        "a new account, an order, a proof and a request lead to a certificate for the name",
        arguments: ChallengeKind.allCases
    )
    func issues(kind: ChallengeKind) throws {
        let run = try order([kind], contact: "ops@example.com")
        let issued = try run.result.get()
        #expect(issued.name == name)
        #expect(issued.chain.count == 2)
        #expect(issued.renewalIdentifier?.hasPrefix("AQIDBA.") == true)
        #expect(run.answers.map(\.kind) == [kind])
        #expect(run.answers.first?.name == name)
        let account = try #require(ca.seen.first { $0.path == "/account" })
        #expect(account.payload == #"{"termsOfServiceAgreed":true,"contact":["mailto:ops@example.com"]}"#)
        #expect(
            ca.seen.map(\.path) == [
                "/dir", "/nonce", "/account", "/order", "/authz/0", "/challenge/0/\(kind.rawValue)", "/authz/0",
                "/orders/0",
                "/finalize/0", "/cert/0",
            ]
        )
        #expect(run.waits == [1], "one second before the first look at the proof")
    }

    @Test("the next order uses the directory, the account and the nonce that are known")
    func secondOrder() throws {
        let first = try order()
        let before = ca.seen.count
        let second = try order(authority: first.authority)
        let issued = try second.result.get()
        #expect(try !issued.isSame(as: first.result.get()))
        #expect(
            issued.key.rawRepresentation != (try first.result.get()).key.rawRepresentation,
            "each has a key of its own"
        )
        #expect(ca.seen[before].path == "/order")
    }

    @Test("a refused nonce is followed by the request with a fresh one, and after five the order fails")
    func nonces() throws {
        let fault = FakeAuthority.Fault(status: 400, type: "badNonce")
        ca.change { $0.faults = ["order": Array(repeating: fault, count: ACMELimits.nonceAttempts)] }
        let run = try order()
        _ = try run.result.get()
        ca.change { $0.faults = ["order": Array(repeating: fault, count: ACMELimits.nonceAttempts + 1)] }
        #expect(try failure(order()).description.contains("badNonce"))
    }

    @Test("an error of the CA's server is repeated three times, with the pause that it asks for")
    func serverErrors() throws {
        let fault = FakeAuthority.Fault(status: 503, fields: [("Retry-After", "7")])
        ca.change { $0.faults = ["finalize": [fault, fault, .init(status: 500)]] }
        let run = try order()
        _ = try run.result.get()
        #expect(run.waits.dropFirst() == [7, 7, 8])
        ca.change { $0.faults = ["dir": Array(repeating: .init(status: 500), count: 4)] }
        let failed = try order()
        #expect(try failure(failed).kind == .authority)
        #expect(try failure(failed).description.contains("HTTP 500"))
        #expect(!failed.hasOrdered)
    }

    @Test("a pause that is longer than an order may take ends it, and is passed on")
    func longPause() throws {
        let fault = FakeAuthority.Fault(status: 503, fields: [("Retry-After", "\(ACMELimits.orderWait + 1)")])
        ca.change { $0.faults = ["order": [fault]] }
        #expect(try failure(order()).retryAfter == ACMELimits.orderWait + 1)
        ca.change {
            $0.faults = ["order": [.init(status: 503, fields: [("Retry-After", "\(ACMELimits.orderWait - 1)")])]]
        }
        _ = try order().result.get()
    }

    @Test("a network that fails is tried again three times, and then it is the reason")
    func network() throws {
        let cut = OrderFailure(.authority, "cut", remedy: "mend it")
        _ = try order(network: { [2, 3, 4].contains($0) ? cut : nil }).result.get()
        let failed = try order(network: { _ in cut })
        #expect(try failure(failed) == cut)
        #expect(failed.waits == [2, 4, 8])
    }

    @Test("a CA that limits is obeyed at once", arguments: ["account", "order", "finalize", "authz"])
    func limits(path: String) throws {
        ca.change {
            $0.faults = [path: [.init(status: 429, type: "rateLimited", fields: [("Retry-After", "4711")])]]
        }
        let failed = try order()
        #expect(try failure(failed).kind == .rateLimit)
        #expect(try failure(failed).retryAfter == 4_711)
        #expect(failed.waits.allSatisfy { $0 == 1 })
    }

    @Test("a proof that the CA does not see is the name's failure, with the CA's reason and the port")
    func invalidChallenge() throws {
        let blind = try FakeAuthority { _, _, _, _ in false }
        var suite = self
        suite = try CertificateOrderTests(ca: blind)
        let failure = try suite.failure(suite.order([.http01]))
        #expect(failure.kind == .validation)
        #expect(
            failure.description
                == "the CA 127.0.0.1 could not validate app.example.com by http-01: unauthorized, \"not seen\"; let "
                + "app.example.com lead to this server in DNS, and port 80 to culvert"
        )
    }

    private init(ca: FakeAuthority) throws { self.ca = ca }

    @Test("a slow CA is asked again, as it wishes, until the order has taken too long")
    func slowOrder() throws {
        ca.change { $0.slowness = 4 }
        let run = try order()
        _ = try run.result.get()
        #expect(run.waits.count > 6)
        ca.change { $0.slowness = 1_000 }
        let failed = try failure(order())
        #expect(failed.description.contains("within 180 s"))
    }

    @Test("an order has a bounded number of requests, and pauses that double to a quarter of a minute")
    func requests() throws {
        let open = """
            {"status":"pending","authorizations":["http://127.0.0.1:14000/authz/0"],"finalize":"http://127.0.0.1:14000/finalize/0"}
            """
        let hasty = FakeAuthority.Fault(status: 200, fields: [("Retry-After", "1")], body: open)
        ca.change { $0.faults = ["orders": Array(repeating: hasty, count: 200)] }
        #expect(try failure(order()).description.contains("did not finish the order"))
        #expect(ca.seen.count == ACMELimits.requests)
        ca.change { $0.faults = ["orders": Array(repeating: .init(status: 200, body: open), count: 200)] }
        let slow = try order()
        #expect(slow.waits.prefix(7) == [1, 1, 2, 4, 8, 15, 15])
        #expect(try failure(slow).kind == .validation)
    }

    @Test("an order has four authorizations at most", arguments: [(4, true), (5, false)])
    func authorizations(count: Int, isGood: Bool) throws {
        let urls = (0..<count).map { "\"http://127.0.0.1:14000/authz/\($0)\"" }.joined(separator: ",")
        let body = "{\"status\":\"invalid\",\"authorizations\":[\(urls)],\"finalize\":\"https://ca.example/f\"}"
        let place = [("Location", "https://ca.example/o")]
        ca.change { $0.faults = ["order": [.init(status: 201, fields: place, body: body)]] }
        #expect(try failure(order()).description.contains("an order without its URLs") != isGood)
    }

    @Test(
        "a nonce is text for URLs of a bounded length",
        arguments: [("a", true), ("a-_9", true), ("", false), ("a b", false), ("a\"b", false), ("a+b", false)]
            + [(ACMELimits.nonce, true), (ACMELimits.nonce + 1, false)].map {
                (String(repeating: "a", count: $0.0), $0.1)
            }
    )
    func nonceTexts(nonce: String, isGood: Bool) throws {
        let fields = try HeaderFields([("Replay-Nonce", nonce)])
        #expect((ACMEResponse(status: 200, fields: fields, body: []).nonce != nil) == isGood)
    }

    @Test("the account of a file that the CA does not know is made anew, once")
    func forgottenAccount() throws {
        let first = try order()
        let account = try #require(first.authority.account)
        ca.forgetAccounts()
        let run = try order(authority: AuthorityState(account: account))
        _ = try run.result.get()
        #expect(ca.count("/account") == 2)
        ca.forgetAccounts()
        #expect(try failure(order(authority: run.authority)).description.contains("accountDoesNotExist"))
    }

    @Test("a renewal names the certificate that it replaces, unless the CA has no renewal information")
    func replaces() throws {
        _ = try order(replacing: "AQID.BA").result.get()
        #expect(ca.seen.contains { $0.path == "/order" && $0.payload.contains(#""replaces":"AQID.BA""#) })
        ca.change { $0.hasRenewalInfo = false }
        let before = ca.seen.count
        _ = try order(replacing: "AQID.BA").result.get()
        #expect(!ca.seen[before...].contains { $0.payload.contains("replaces") })
    }

    @Test("a certificate that was replaced already is ordered without that word")
    func alreadyReplaced() throws {
        ca.change { $0.faults = ["order": [.init(status: 409, type: "alreadyReplaced")]] }
        _ = try order(replacing: "AQID.BA").result.get()
        #expect(ca.seen.filter { $0.path == "/order" }.map { $0.payload.contains("replaces") } == [true, false])
    }

    @Test("an order that is not ready yet is asked for until it is")
    func notReady() throws {
        ca.change { $0.faults = ["finalize": [.init(status: 403, type: "orderNotReady")]] }
        _ = try order().result.get()
    }

    @Test("an authorization that is valid already needs no proof")
    func validAuthorization() throws {
        let body = #"{"status":"valid","identifier":{"type":"dns","value":"app.example.com"},"challenges":[]}"#
        let ready = """
            {"status":"ready","authorizations":["http://127.0.0.1:14000/authz/0"],"finalize":"http://127.0.0.1:14000/finalize/0"}
            """
        ca.change {
            $0.faults = ["authz": [.init(status: 200, body: body)], "orders": [.init(status: 200, body: ready)]]
        }
        let run = try order()
        #expect(run.answers.isEmpty)
        #expect(ca.count("/finalize/0") == 1)
    }

    @Test(
        "answers that are not what was asked for end the order with the reason",
        arguments: [
            ("dir", "{}", "is not an ACME directory"),
            ("dir", #"{"newNonce":"http://ca.example/"}"#, "not an ACME directory"),
            ("dir", "<html>", "is not an ACME directory"), ("account", "{}", "an account without a URL"),
            ("order", "{}", "an order without its URLs"), ("order", "[[[[", "an order without its URLs"),
            ("authz", "{}", "an authorization for another name"),
            (
                "authz", #"{"status":"pending","identifier":{"type":"dns","value":"b.example"},"challenges":[]}"#,
                "an authorization for another name"
            ),
            (
                "authz", #"{"status":"pending","identifier":{"type":"dns","value":"app.example.com"},"challenges":[]}"#,
                "by none of the ways"
            ),
            (
                "authz",
                #"{"status":"pending","identifier":{"type":"dns","value":"app.example.com"},"challenges":[{"type":"http-01","url":"https://ca.example/1","token":"a/b"}]}"#,
                "a challenge without a usable token"
            ),
            (
                "authz",
                #"{"status":"pending","identifier":{"type":"dns","value":"app.example.com"},"challenges":[{"type":"http-01","url":"http://ca.example/1","token":"ab"}]}"#,
                "a challenge without a usable token"
            ),
            (
                "authz", #"{"status":"revoked","identifier":{"type":"dns","value":"app.example.com"},"challenges":[]}"#,
                "without a reason"
            ),
            ("orders", "x", "an answer that is no order"), ("orders", #"{"status":"odd"}"#, "an unexpected status"),
            ("orders", #"{"status":"valid"}"#, "an unexpected status"),
            (
                "orders", #"{"status":"invalid","error":{"type":"urn:ietf:params:acme:error:caa","detail":"no"}}"#,
                "refused the order for app.example.com: caa, \"no\""
            ),
            ("finalize", #"{"status":"valid"}"#, "an order without a certificate"),
            ("cert", "", "it has no certificate"), ("cert", "-----BEGIN CERTIFICATE-----\n", "cannot be"),
        ]
    )
    func oddAnswers(path: String, body: String, reason: String) throws {
        ca.change { $0.faults = [path: [.init(status: 200, body: body)]] }
        let failure = try failure(order())
        #expect(failure.description.contains(reason), "\(failure)")
        #expect(failure.description.contains("; "), "it has a remedy")
    }

    @Test("a certificate for another key or another name is not taken")
    func foreignCertificate() throws {
        let other = try order().result.get()
        let text = other.pem.split(separator: "-----END PRIVATE KEY-----")[1]
        ca.change { $0.faults = ["cert": [.init(status: 200, body: String(text))]] }
        #expect(try failure(order()).description.contains("its key belongs to another certificate"))
        let chain = Array(text.utf8)
        let wrong = CertificateName.of("b.example")
        #expect(throws: IssuedCertificate.Problem.otherName) {
            try IssuedCertificate(chain: chain, key: other.key, for: wrong)
        }
        #expect(throws: IssuedCertificate.Problem.length) {
            let many = Array(repeating: String(text), count: ACMELimits.certificates / 2 + 1).joined(separator: "\n")
            _ = try IssuedCertificate(chain: Array(many.utf8), key: other.key, for: name)
        }
        let most = Array(repeating: String(text), count: ACMELimits.certificates / 2).joined(separator: "\n")
        #expect(try IssuedCertificate(chain: Array(most.utf8), key: other.key, for: name).chain.count == 10)
    }

    @Test("a certificate survives its file")
    func storedCertificate() throws {
        let issued = try order().result.get()
        let read = try IssuedCertificate(stored: Array(issued.pem.utf8), for: nil)
        #expect(read.isSame(as: issued))
        #expect((read.name, read.notAfter, read.renewalIdentifier) == (name, issued.notAfter, issued.renewalIdentifier))
        for cut in [0, 1, 100, issued.pem.utf8.count / 2] {
            #expect(throws: IssuedCertificate.Problem.self) {
                try IssuedCertificate(stored: Array(issued.pem.utf8.prefix(cut)), for: nil)
            }
        }
    }

    @Test("a CA that wants an external account is refused before anything is sent")
    func externalAccount() throws {
        ca.change { $0.needsExternalAccount = true }
        #expect(try failure(order()).description.contains("use a CA that needs no external account"))
        #expect(ca.seen.map(\.path) == ["/dir"])
    }

    @Test("an account that was closed is not used")
    func closedAccount() throws {
        ca.change {
            $0.faults = [
                "account": [
                    .init(
                        status: 200,
                        fields: [("Location", "https://ca.example/1")],
                        body: #"{"status":"deactivated"}"#
                    )
                ]
            ]
        }
        #expect(try failure(order()).description.contains("the account at the CA 127.0.0.1 is deactivated"))
    }

    @Test("a server without a way to prove a name says so")
    func noWay() throws {
        #expect(try failure(order([])).description.contains("it has none; give the server --https-listen"))
    }

    @Test("a call out of turn repeats nothing")
    func outOfTurn() throws {
        var order = CertificateOrder(
            for: name,
            from: try ACMEURL(ca.directory),
            contact: nil,
            key: key,
            authority: AuthorityState(),
            challenges: [.http01]
        )
        guard case .failed = order.waited(), case .failed = order.presented() else {
            Issue.record("it went on")
            return
        }
    }
}
