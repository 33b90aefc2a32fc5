/// One request and its answer, with all repetitions: for a fresh nonce, after a refused nonce, and after an error of the
/// CA's server or of the network.
///
/// ```
/// nonce ──▶ request ──▶ answer
///   ▲         │  ▲
///   └─────────┘  └── pause     a refused nonce, or an error that may pass
/// ```
struct AuthorityExchange: Sendable {
    /// What is asked for.
    enum Question: Sendable {
        /// A resource that needs no signature.
        case get(ACMEURL)
        /// A signed request; nil for one that only reads.
        case post(JSONText?, ACMEURL, SignerKind, limit: Int = ACMELimits.answer)
    }

    /// Who signs.
    enum SignerKind: Sendable {
        case key
        case account
    }

    /// What to do next.
    enum Step: Sendable {
        case send(ACMERequest)
        case wait(seconds: Int)
        /// A good answer.
        case answer(ACMEResponse)
        /// A refusal.
        case problem(ProblemDocument, status: Int, retryAfter: Int?)
        case failed(OrderFailure)
    }

    private enum State {
        case nonce(Attempts)
        case request(Attempts)
        case pause(Attempts)
        case ended
    }

    private struct Attempts {
        var errors = 0
        var refusedNonces = 0
    }

    private let question: Question
    private var state = State.request(Attempts())

    init(_ question: Question) { self.question = question }

    /// Begins.
    mutating func start(_ authority: inout AuthorityState, _ key: AccountKey) -> Step {
        send(Attempts(), &authority, key)
    }

    /// The pause is over.
    mutating func waited(_ authority: inout AuthorityState, _ key: AccountKey) -> Step {
        guard case .pause(let attempts) = state else { return idle }
        return send(attempts, &authority, key)
    }

    /// The network has failed.
    mutating func unreachable(_ failure: OrderFailure) -> Step {
        switch state {
        case .nonce(let attempts), .request(let attempts): pause(attempts, nil) ?? fail(failure)
        case .pause, .ended: idle
        }
    }

    /// The CA has answered.
    mutating func received(
        _ response: ACMEResponse,
        _ authority: inout AuthorityState,
        _ key: AccountKey,
        now: Int64
    ) -> Step {
        if let nonce = response.nonce { authority.nonce = nonce }
        let retryAfter = response.retryAfter(now: now)
        switch state {
        case .nonce(let attempts):
            if (200...299).contains(response.status), authority.nonce != nil { return send(attempts, &authority, key) }
            return unusable(response, attempts, retryAfter)
        case .request(let attempts):
            guard !(200...299).contains(response.status) else {
                state = .ended
                return .answer(response)
            }
            return unusable(response, attempts, retryAfter, &authority, key)
        case .pause, .ended:
            return idle
        }
    }

    // MARK: Steps

    private mutating func send(_ attempts: Attempts, _ authority: inout AuthorityState, _ key: AccountKey) -> Step {
        switch question {
        case .get(let url):
            state = .request(attempts)
            return .send(ACMERequest(.get, url))
        case .post(let payload, let url, let kind, let limit):
            guard let nonce = authority.takeNonce() else {
                guard let directory = authority.directory else { return idle }
                state = .nonce(attempts)
                return .send(ACMERequest(.head, directory.newNonce))
            }
            let signer: SignedBody.Signer
            switch (kind, authority.account) {
            case (.account, let account?): signer = .account(account)
            default: signer = .key
            }
            do {
                let body = try SignedBody.make(payload, for: url, nonce: nonce, by: signer, with: key)
                state = .request(attempts)
                return .send(ACMERequest(.post, url, body: body, answerLimit: limit))
            } catch {
                return fail(
                    OrderFailure(
                        .refusal,
                        "the account's key signs nothing",
                        remedy: "remove the account's files from storage of [acme]"
                    )
                )
            }
        }
    }

    /// The answer to a request for a nonce cannot be used.
    private mutating func unusable(_ response: ACMEResponse, _ attempts: Attempts, _ retryAfter: Int?) -> Step {
        if response.status >= 500, let step = pause(attempts, retryAfter) { return step }
        state = .ended
        return .problem(Self.problem(response), status: response.status, retryAfter: retryAfter)
    }

    /// A request is refused, for good or for now.
    private mutating func unusable(
        _ response: ACMEResponse,
        _ attempts: Attempts,
        _ retryAfter: Int?,
        _ authority: inout AuthorityState,
        _ key: AccountKey
    ) -> Step {
        let problem = Self.problem(response)
        if problem.kind == "badNonce", attempts.refusedNonces < ACMELimits.nonceAttempts {
            var attempts = attempts
            attempts.refusedNonces += 1
            return send(attempts, &authority, key)
        }
        if response.status >= 500, problem.kind != "rateLimited", let step = pause(attempts, retryAfter) { return step }
        state = .ended
        return .problem(problem, status: response.status, retryAfter: retryAfter)
    }

    /// Waits before another attempt; nil after the last one, or if the CA asks for a longer pause than an order has.
    private mutating func pause(_ attempts: Attempts, _ retryAfter: Int?) -> Step? {
        guard attempts.errors < ACMELimits.attempts, retryAfter ?? 0 <= ACMELimits.orderWait else { return nil }
        var attempts = attempts
        attempts.errors += 1
        state = .pause(attempts)
        return .wait(seconds: max(retryAfter ?? 0, 1 << attempts.errors))
    }

    private mutating func fail(_ failure: OrderFailure) -> Step {
        state = .ended
        return .failed(failure)
    }

    /// For a call that does not belong to the state: the caller's mistake, which must not repeat a request.
    private var idle: Step {
        .failed(OrderFailure(.authority, "a request was out of turn", remedy: "report this with the log"))
    }

    private static func problem(_ response: ACMEResponse) -> ProblemDocument {
        ACMEResource.decode(ProblemDocument.self, response.body) ?? .empty
    }
}
