import Crypto

/// Gets one certificate from a CA (RFC 8555, section 7): an automaton without a clock and without input or output.
///
/// ```
/// directory ─▶ account ─▶ order ─▶ authorization ─▶ present ─▶ respond ─▶ check ─▶ ready ─▶ finalize ─▶ certificate
///                           │            ▲                                  │         ▲         │
///                           └────────────┼──────────────────────────────────┴─────────┘      finished (polls)
///                                        └── the next authorization
/// ```
///
/// Each method returns what to do next. Requests are sent one at a time.
public struct CertificateOrder: Sendable {
    /// What to do next.
    public enum Step: Sendable {
        /// Send a request, and call `received` or `unreachable`.
        case send(ACMERequest)
        /// Wait, and call `waited`.
        case wait(seconds: Int)
        /// Show this to the CA from now on, and call `presented`.
        case present(ChallengeAnswer)
        /// The end: a certificate.
        case issued(IssuedCertificate)
        /// The end: none.
        case failed(OrderFailure)
    }

    /// An order that the CA has made.
    private struct Placed: Sendable {
        let url: ACMEURL
        let finalize: ACMEURL
        /// The authorizations that are not known to be valid.
        var open: [ACMEURL]
    }

    private typealias Key = P256.Signing.PrivateKey

    /// What an exchange is for.
    private enum Purpose: Sendable {
        case directory
        case account
        case order(replacing: String?)
        case authorization(Placed, ACMEURL)
        case respond(Placed, ACMEURL, ChallengeKind)
        case check(Placed, ACMEURL, ChallengeKind, polls: Int)
        case ready(Placed, polls: Int)
        case finalize(Placed, Key)
        case finished(Placed, Key, polls: Int)
        case certificate(Key)
    }

    private enum State: Sendable {
        case exchange(AuthorityExchange, Purpose)
        case polling(Purpose)
        case presenting(Placed, authorization: ACMEURL, challenge: ACMEURL, ChallengeKind)
        case ended
    }

    /// What is known of the CA, for the next order.
    public private(set) var authority: AuthorityState
    /// Whether the CA was asked for an order, which counts in its limits.
    public private(set) var hasOrdered = false

    private let name: CertificateName
    private let directory: ACMEURL
    private let contact: String?
    private let key: AccountKey
    private let challenges: [ChallengeKind]
    private let replaced: String?
    private var state = State.ended
    private var spent = (requests: 0, seconds: 0)

    /// - Parameters:
    ///   - directory: the CA.
    ///   - contact: the account's e-mail address; nil for none.
    ///   - authority: what is known from orders before.
    ///   - challenges: the ways to prove the name, the preferred one first.
    ///   - replaced: the renewal id of the certificate that the new one replaces; nil for a first one.
    public init(
        for name: CertificateName,
        from directory: ACMEURL,
        contact: String?,
        key: AccountKey,
        authority: AuthorityState,
        challenges: [ChallengeKind],
        replacing replaced: String? = nil
    ) {
        (self.name, self.directory, self.contact, self.key) = (name, directory, contact, key)
        (self.authority, self.challenges, self.replaced) = (authority, challenges, replaced)
    }

    // MARK: Inputs

    /// Begins.
    public mutating func start() -> Step {
        authority.directory == nil ? ask(.directory, .get(directory)) : signUp()
    }

    /// The CA has answered.
    ///
    /// - Parameter now: seconds since 1970, for times in the answer.
    public mutating func received(_ response: ACMEResponse, now: Int64) -> Step {
        guard case .exchange(var exchange, let purpose) = state else { return outOfTurn }
        let step = exchange.received(response, &authority, key, now: now)
        return go(step, exchange, purpose, now)
    }

    /// The CA was not reached, or its answer broke off.
    public mutating func unreachable(_ failure: OrderFailure) -> Step {
        guard case .exchange(var exchange, let purpose) = state else { return outOfTurn }
        let step = exchange.unreachable(failure)
        return go(step, exchange, purpose, 0)
    }

    /// The pause is over.
    public mutating func waited() -> Step {
        switch state {
        case .exchange(var exchange, let purpose):
            let step = exchange.waited(&authority, key)
            return go(step, exchange, purpose, 0)
        case .polling(let purpose):
            return ask(purpose)
        case .presenting, .ended:
            return outOfTurn
        }
    }

    /// The answer is where the CA looks for it.
    public mutating func presented() -> Step {
        guard case .presenting(let order, let authorization, let challenge, let kind) = state else { return outOfTurn }
        return ask(.respond(order, authorization, kind), .post(.object([]), challenge, .account))
    }

    // MARK: Requests

    /// Begins the exchange of a purpose that only reads, or the one that `question` is.
    private mutating func ask(_ purpose: Purpose, _ question: AuthorityExchange.Question? = nil) -> Step {
        let reads: AuthorityExchange.Question? =
            switch purpose {
            case .authorization(_, let url), .check(_, let url, _, _): .post(nil, url, .account)
            case .ready(let order, _), .finished(let order, _, _): .post(nil, order.url, .account)
            case .directory, .account, .order, .respond, .finalize, .certificate: nil
            }
        guard let question = question ?? reads else { return outOfTurn }
        var exchange = AuthorityExchange(question)
        let step = exchange.start(&authority, key)
        return go(step, exchange, purpose, 0)
    }

    private mutating func go(
        _ step: AuthorityExchange.Step,
        _ exchange: AuthorityExchange,
        _ purpose: Purpose,
        _ now: Int64
    ) -> Step {
        switch step {
        case .send(let request):
            guard spent.requests < ACMELimits.requests else { return fail(tooSlow(nil)) }
            spent.requests += 1
            state = .exchange(exchange, purpose)
            if case .order = purpose, request.method == .post { hasOrdered = true }
            return .send(request)
        case .wait(let seconds):
            return wait(seconds, .exchange(exchange, purpose))
        case .answer(let response):
            return answer(response, purpose, now)
        case .problem(let problem, let status, let retryAfter):
            return refused(problem, status, retryAfter, purpose)
        case .failed(let failure):
            return fail(failure)
        }
    }

    private mutating func wait(_ seconds: Int, _ next: State) -> Step {
        guard seconds <= ACMELimits.orderWait - spent.seconds else { return fail(tooSlow(seconds)) }
        spent.seconds += seconds
        state = next
        return .wait(seconds: seconds)
    }

    private mutating func poll(_ purpose: Purpose, _ polls: Int, _ retryAfter: Int?) -> Step {
        let usual = min(1 << min(polls, 10), ACMELimits.longestPoll)
        return wait(max(1, retryAfter ?? usual), .polling(purpose))
    }

    private mutating func signUp() -> Step {
        guard authority.directory?.needsExternalAccount != true || authority.account != nil else {
            return fail(
                OrderFailure(
                    .refusal,
                    "the CA \(place) wants an account that is made on its site first",
                    remedy: "use a CA that needs no external account"
                )
            )
        }
        guard authority.account == nil else { return order(replacing: replaced) }
        guard let url = authority.directory?.newAccount else { return outOfTurn }
        var members: [(String, JSONText)] = [("termsOfServiceAgreed", .bool(true))]
        if let contact { members.append(("contact", .array([.string("mailto:\(contact)")]))) }
        return ask(.account, .post(.object(members), url, .key))
    }

    private mutating func order(replacing identifier: String?) -> Step {
        guard let directory = authority.directory else { return outOfTurn }
        let named = JSONText.object([("type", .string("dns")), ("value", .string(name.text))])
        var members: [(String, JSONText)] = [("identifiers", .array([named]))]
        // Only a CA with renewal information knows the member.
        let replacing = directory.renewalInfo == nil ? nil : identifier
        if let replacing { members.append(("replaces", .string(replacing))) }
        return ask(.order(replacing: replacing), .post(.object(members), directory.newOrder, .account))
    }

    private mutating func finalize(_ order: Placed) -> Step {
        let key = Key()
        guard let request = try? CertificateRequest.make(for: name, key: key) else { return outOfTurn }
        let payload = JSONText.object([("csr", .string(Base64URL.encoded(request)))])
        return ask(.finalize(order, key), .post(payload, order.finalize, .account))
    }

    // MARK: Answers

    private mutating func answer(_ response: ACMEResponse, _ purpose: Purpose, _ now: Int64) -> Step {
        let retryAfter = response.retryAfter(now: now)
        switch purpose {
        case .directory:
            guard let directory = AuthorityDirectory(response.body) else {
                return fail(
                    OrderFailure(
                        .authority,
                        "the answer of \(self.directory) is not an ACME directory",
                        remedy: "correct directory of [acme]"
                    )
                )
            }
            authority.directory = directory
            return signUp()
        case .account:
            guard let url = response.location else { return unusable("an account without a URL") }
            if let account = ACMEResource.decode(ACMEResource.Account.self, response.body), account.status != "valid" {
                let status = account.status.escapedForDisplay(limit: 40)
                return fail(
                    OrderFailure(
                        .refusal,
                        "the account at the CA \(place) is \(status)",
                        remedy: "remove the account's files from storage of [acme], so that a new account is made"
                    )
                )
            }
            authority.known = .confirmed(url)
            return order(replacing: replaced)
        case .order:
            guard let url = response.location,
                let read = ACMEResource.decode(ACMEResource.Order.self, response.body),
                let finalize = read.finalize.flatMap({ try? ACMEURL($0) }), let texts = read.authorizations,
                !texts.isEmpty, texts.count <= ACMELimits.authorizations
            else { return unusable("an order without its URLs") }
            let open = texts.compactMap { try? ACMEURL($0) }
            guard open.count == texts.count else { return unusable("an order without its URLs") }
            return follow(read, Placed(url: url, finalize: finalize, open: open), nil, 0, retryAfter)
        case .authorization(let order, let url):
            return authorization(response, order, url, nil, 0, retryAfter)
        case .respond(let order, let url, let kind):
            return poll(.check(order, url, kind, polls: 1), 0, retryAfter)
        case .check(let order, let url, let kind, let polls):
            return authorization(response, order, url, kind, polls, retryAfter)
        case .ready(let order, let polls):
            guard let read = ACMEResource.decode(ACMEResource.Order.self, response.body) else {
                return unusable("an answer that is no order")
            }
            return follow(read, order, nil, polls, retryAfter)
        case .finalize(let order, let key):
            guard let read = ACMEResource.decode(ACMEResource.Order.self, response.body) else {
                return unusable("an answer that is no order")
            }
            return follow(read, order, key, 0, retryAfter)
        case .finished(let order, let key, let polls):
            guard let read = ACMEResource.decode(ACMEResource.Order.self, response.body) else {
                return unusable("an answer that is no order")
            }
            return follow(read, order, key, polls, retryAfter)
        case .certificate(let key):
            do throws(IssuedCertificate.Problem) {
                let issued = try IssuedCertificate(chain: response.body, key: key, for: name)
                state = .ended
                return .issued(issued)
            } catch {
                return unusable("a certificate for \(name) that cannot be used: \(error.rawValue)")
            }
        }
    }

    /// Goes where an order's status leads.
    ///
    /// - Parameter key: the key of the certificate that was asked for; nil before.
    private mutating func follow(
        _ read: ACMEResource.Order,
        _ order: Placed,
        _ key: P256.Signing.PrivateKey?,
        _ polls: Int,
        _ retryAfter: Int?
    ) -> Step {
        switch (read.status, key) {
        case ("pending", nil):
            if let next = order.open.first { return ask(.authorization(order, next)) }
            return poll(.ready(order, polls: polls + 1), polls, retryAfter)
        case ("ready", nil): return finalize(order)
        case ("ready", let key?), ("processing", let key?), ("pending", let key?):
            return poll(.finished(order, key, polls: polls + 1), polls, retryAfter)
        case ("valid", let key?):
            guard let url = read.certificate.flatMap({ try? ACMEURL($0) }) else {
                return unusable("an order without a certificate")
            }
            return ask(.certificate(key), .post(nil, url, .account, limit: ACMELimits.chain))
        case ("invalid", _):
            let problem = read.error ?? .empty
            return fail(OrderFailure(problem, from: place, "refused the order for \(name)", for: name, status: nil))
        default: return unusable("an order with an unexpected status")
        }
    }

    /// Goes where an authorization's status leads.
    ///
    /// - Parameter kind: the way of the proof that was offered; nil before.
    private mutating func authorization(
        _ response: ACMEResponse,
        _ order: Placed,
        _ url: ACMEURL,
        _ kind: ChallengeKind?,
        _ polls: Int,
        _ retryAfter: Int?
    ) -> Step {
        guard let read = ACMEResource.decode(ACMEResource.Authorization.self, response.body),
            read.identifier.type == "dns", CertificateName(read.identifier.value) == name
        else { return unusable("an authorization for another name than \(name)") }
        switch (read.status, kind) {
        case ("valid", _):
            var order = order
            order.open.removeAll { $0 == url }
            if let next = order.open.first { return ask(.authorization(order, next)) }
            return ask(.ready(order, polls: 0))
        case ("pending", nil): return offer(read, order, url)
        case ("pending", let kind?), ("processing", let kind?):
            return poll(.check(order, url, kind, polls: polls + 1), polls, retryAfter)
        default:
            let problem = read.challenges.compactMap(\.error).first ?? .empty
            let way = kind ?? challenges.first ?? .http01
            return fail(
                OrderFailure(
                    problem == .empty ? .noReason : problem,
                    from: place,
                    "could not validate \(name) by \(way.rawValue)",
                    for: name,
                    status: nil,
                    by: way
                )
            )
        }
    }

    /// Chooses a challenge.
    private mutating func offer(_ read: ACMEResource.Authorization, _ order: Placed, _ url: ACMEURL) -> Step {
        for kind in challenges {
            guard let challenge = read.challenges.first(where: { $0.type == kind.rawValue }) else { continue }
            guard let place = try? ACMEURL(challenge.url), let token = challenge.token,
                let answer = ChallengeAnswer(kind, name, token: token, key: key)
            else { return unusable("a challenge without a usable token") }
            state = .presenting(order, authorization: url, challenge: place, kind)
            return .present(answer)
        }
        let known = challenges.map(\.rawValue).joined(separator: " and ")
        return fail(
            OrderFailure(
                .refusal,
                "the CA \(place) validates \(name) by none of the ways that this server has: "
                    + (known.isEmpty ? "it has none" : known),
                remedy: "give the server --https-listen or --http-listen, or use another CA"
            )
        )
    }

    // MARK: Ends

    private mutating func refused(
        _ problem: ProblemDocument,
        _ status: Int,
        _ retryAfter: Int?,
        _ purpose: Purpose
    ) -> Step {
        switch (purpose, problem.kind, authority.known) {
        case (.account, _, _), (.directory, _, _): break
        case (_, "accountDoesNotExist", .stored):
            authority.known = .unknown
            return signUp()
        case (.order(replacing: _?), "alreadyReplaced", _): return order(replacing: nil)
        case (.finalize(let order, _), "orderNotReady", _):
            return poll(.ready(order, polls: 1), 0, retryAfter)
        default: break
        }
        let action =
            switch purpose {
            case .directory: "did not send its directory"
            case .account: "refused an account"
            default: "refused the order for \(name)"
            }
        return fail(
            OrderFailure(problem, from: place, action, for: name, status: status, retryAfter: retryAfter)
        )
    }

    private mutating func unusable(_ what: String) -> Step {
        fail(
            OrderFailure(
                .refusal,
                "the CA \(place) answered with \(what)",
                remedy: "compare directory of [acme] with the CA's documentation"
            )
        )
    }

    private func tooSlow(_ seconds: Int?) -> OrderFailure {
        // A name can make its own validation slow, which must not look like the CA's trouble.
        OrderFailure(
            hasOrdered ? .validation : .authority,
            "the CA \(place) did not finish the order for \(name) within \(ACMELimits.orderWait) s",
            remedy: "wait for the next attempt",
            retryAfter: seconds
        )
    }

    private mutating func fail(_ failure: OrderFailure) -> Step {
        state = .ended
        // The CA's URLs may be outdated.
        authority.directory = nil
        return .failed(failure)
    }

    /// For a call that does not belong to the state.
    private var outOfTurn: Step {
        .failed(OrderFailure(.authority, "an order was out of turn", remedy: "report this with the log"))
    }

    private var place: String { directory.place.host }
}
