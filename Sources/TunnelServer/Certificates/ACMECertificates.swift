public import ACME
public import Logging
import Synchronization
import TunnelCore

/// Gets certificates from a CA for the names that are wanted, renews them, and has them ready for handshakes.
///
/// ``run()`` talks to the CA, one order at a time. Everything else may be called from any thread, and waits for nothing.
public final class ACMECertificates: Sendable {
    /// The passing of time, so that tests do not wait for it.
    struct Time: Sendable {
        /// Seconds since 1970.
        var now: @Sendable () -> Int64 = { WallClock.unixSeconds }
        /// Waits until a time, and throws if the task is cancelled.
        var sleep: @Sendable (_ end: Int64) async throws -> Void = Time.wait(until:)

        /// The clock counts the time in which the machine sleeps.
        @Sendable private static func wait(until end: Int64) async throws {
            let seconds = max(1, end - WallClock.unixSeconds)
            try await Task.sleep(for: Duration.seconds(seconds), clock: ContinuousClock())
        }
    }

    private struct State {
        var schedule = CertificateSchedule()
        var table = CertificateTable()
        var stored: [CertificateName: IssuedCertificate]
        var challenges: Set<ChallengeKind> = []
        var authority: AuthorityState
        var wake: AsyncStream<Void>.Continuation?
        var generator = SystemRandomNumberGenerator()

        /// Keeps a certificate for a client that comes back. If there are too many, one that is not wanted goes; its file
        /// stays.
        mutating func keep(_ certificate: IssuedCertificate) {
            stored[certificate.name] = certificate
            guard stored.count > CertificateStorage.mostFiles else { return }
            let others = stored.filter { $0.key != certificate.name && !schedule.wants($0.key) }
            guard let first = others.min(by: { $0.value.notAfter < $1.value.notAfter }) else { return }
            stored[first.key] = nil
        }
    }

    private let directory: ACMEURL
    private let contact: String?
    private let storage: CertificateStorage
    private let key: AccountKey
    private let client: AuthorityClient
    private let logger: Logger
    private let time: Time
    private let onChange: @Sendable (_ name: String) -> Void
    private let state: Mutex<State>

    /// Reads the storage. Reads and writes files: not for an event loop.
    ///
    /// - Parameter onChange: called with a name when its certificate is there, is another one, or is gone; from any thread.
    /// - Throws: ``ServerError/configuration(_:)``.
    public convenience init(
        _ configuration: ACMEConfiguration,
        logger: Logger,
        onChange: @escaping @Sendable (_ name: String) -> Void = { _ in }
    ) throws(ServerError) {
        try self.init(configuration, logger: logger, time: Time(), onChange: onChange)
    }

    init(
        _ configuration: ACMEConfiguration,
        logger: Logger,
        time: Time,
        onChange: @escaping @Sendable (_ name: String) -> Void = { _ in }
    ) throws(ServerError) {
        do throws(ACMEURL.Problem) {
            directory = try ACMEURL(configuration.directory)
        } catch {
            throw .configuration("directory of [acme]: \(error); give the URL of an ACME directory")
        }
        if let email = configuration.email, !Self.isAddress(email) {
            throw .configuration("email of [acme] is not one e-mail address; give one, or leave it out")
        }
        contact = configuration.email
        client = try AuthorityClient(trusting: configuration.authorities)
        storage = try CertificateStorage(configuration.storage, for: directory)
        let (key, keyProblem) = try storage.accountKey()
        self.key = key
        self.logger = logger
        self.time = time
        self.onChange = onChange
        let (found, problems) = storage.certificates(now: time.now())
        for problem in [keyProblem].compactMap({ $0 }) + problems {
            logger.warning("a file of a certificate cannot be used", metadata: ["reason": .string(problem)])
        }
        let stored = Dictionary(found.map { ($0.name, $0) }) { first, _ in first }
        state = Mutex(State(stored: stored, authority: AuthorityState(account: storage.account())))
    }

    /// Whether a text is one address: what stands behind `mailto:` must not become several, or a header (RFC 8555, 7.3).
    private static func isAddress(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 254
            && text.utf8.allSatisfy { (0x21..<0x7F).contains($0) && !"?,%&<>\"".utf8.contains($0) }
    }

    // MARK: Names

    /// Says in which ways this server can prove a name from now on: tls-alpn-01 with a listener for https, http-01 with one
    /// for http. Without any no order is placed.
    public func offer(_ challenges: Set<ChallengeKind>) {
        state.withLock { $0.challenges = challenges }
        wake()
    }

    /// Wants a certificate for a name that is configured, or that a client has claimed.
    ///
    /// Never for a name that a stranger asks for: each costs an order. A certificate of the storage is there at once.
    ///
    /// - Parameter owner: the client's name, which bounds its share of the orders; nil for a configured name.
    /// - Returns: nil, or why no certificate is possible, for a log.
    @discardableResult
    public func want(_ name: String, owner: String? = nil) -> String? {
        guard let wanted = CertificateName(name) else {
            return "no CA issues a certificate for this name; use letters, digits, dots and inner hyphens"
        }
        let now = time.now()
        let (isAccepted, hasCertificate) = state.withLock { state in
            guard !state.schedule.wants(wanted) else { return (true, false) }
            let certificate = state.stored[wanted]
            guard
                state.schedule.want(wanted, owner: owner, certificate: certificate, now: now, using: &state.generator)
            else { return (false, false) }
            state.table.set(certificate.flatMap { NameCertificate($0) }, for: wanted)
            return (true, certificate != nil)
        }
        guard isAccepted else { return "there are \(ACMELimits.names) names with certificates already; claim fewer" }
        if hasCertificate { onChange(wanted.text) }
        wake()
        return nil
    }

    /// Wants none for the name any more. Its file stays, for a client that comes back.
    public func unwant(_ name: String) {
        guard let name = CertificateName(name) else { return }
        let now = time.now()
        let isChanged = state.withLock { state in
            guard state.schedule.wants(name) else { return false }
            state.schedule.unwant(name, now: now)
            let hadCertificate = state.table.certificate(for: name) != nil
            state.table.set(nil, for: name)
            state.table.withdraw(name)
            return hadCertificate
        }
        if isChanged { onChange(name.text) }
    }

    // MARK: Handshakes and challenges

    /// The certificate of a wanted name; nil if there is none yet.
    public func identity(for name: String) -> NameCertificate? {
        guard let name = CertificateName(name) else { return nil }
        return state.withLock { $0.table.certificate(for: name) }
    }

    /// The body for `GET /.well-known/acme-challenge/TOKEN` on port 80; nil for 404.
    public func challenge(token: String) -> String? {
        guard token.utf8.count <= ACMELimits.token else { return nil }
        return state.withLock { $0.table.keyAuthorization(for: token) }
    }

    /// The certificate for a handshake whose only protocol of ALPN is ``ChallengeCertificate/applicationProtocol``; nil for
    /// an alert. The connection is closed after the handshake.
    public func alpnCertificate(for name: String) -> NameCertificate? {
        guard let name = CertificateName(name) else { return nil }
        return state.withLock { $0.table.challengeCertificate(for: name) }
    }

    /// What operators want to know of each name, in order.
    public var status: [CertificateStatus] {
        let now = time.now()
        return state.withLock { $0.schedule.status(now: now) }
    }

    // MARK: The CA

    /// Gets and renews certificates, until its task is cancelled. Called once.
    public func run() async {
        let (events, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.wake = continuation }
        defer { state.withLock { $0.wake = nil } }
        var iterator = events.makeAsyncIterator()
        while !Task.isCancelled {
            let now = time.now()
            // Without a way to prove a name every order would fail.
            let decision = state.withLock { state in
                state.challenges.isEmpty
                    ? .idle(until: now + ACMELimits.leastRenewalCheck) : state.schedule.next(now: now)
            }
            switch decision {
            case .order(let name, let failures, let replaced):
                await order(name, failures, replacing: replaced)
            case .ask(let name, let identifier):
                await ask(name, identifier)
            case .idle(let until):
                let timer = Task { [time] in
                    try? await time.sleep(until)
                    continuation.yield()
                }
                _ = await iterator.next()
                timer.cancel()
            }
        }
    }

    private func wake() { state.withLock { $0.wake }?.yield() }

    /// The ways to prove a name, for an attempt. After each failure another one comes first.
    private func ways(_ failures: Int) -> [ChallengeKind] {
        let known = state.withLock { $0.challenges }
        let ways = ChallengeKind.allCases.filter(known.contains)
        return ways.count == 2 && !failures.isMultiple(of: 2) ? ways.reversed() : ways
    }

    private func order(_ name: CertificateName, _ failures: Int, replacing replaced: String?) async {
        // Its file may be there, if there were too many to keep all in memory.
        if replaced == nil, let certificate = storage.certificate(of: name), certificate.notAfter > time.now() {
            return found(certificate)
        }
        var order = CertificateOrder(
            for: name,
            from: directory,
            contact: contact,
            key: key,
            authority: state.withLock { $0.authority },
            challenges: ways(failures),
            replacing: replaced
        )
        let result: Result<IssuedCertificate, OrderFailure>?
        do {
            result = try await perform(&order, name)
        } catch {
            result = nil
        }
        let account = order.authority.account
        let isNewAccount = state.withLock { state in
            defer { state.authority = order.authority }
            state.table.withdraw(name)
            return account != nil && account != state.authority.account
        }
        if isNewAccount, let account { storage.keep(account: account) }
        switch result {
        case .success(let certificate): issued(certificate, isRenewal: replaced != nil)
        case .failure(let failure): failed(name, failure, order.hasOrdered)
        case nil: state.withLock { $0.schedule.abandoned(name, hasOrdered: order.hasOrdered) }
        }
    }

    /// Does what the order says, until its end.
    private func perform(
        _ order: inout CertificateOrder,
        _ name: CertificateName
    ) async throws -> Result<IssuedCertificate, OrderFailure>? {
        var step = order.start()
        while true {
            // A name that is not wanted any more costs the CA nothing further.
            guard state.withLock({ $0.schedule.wants(name) }) else { return nil }
            switch step {
            case .send(let request):
                do {
                    step = order.received(try await client.send(request), now: time.now())
                } catch let failure as OrderFailure {
                    step = order.unreachable(failure)
                }
            case .wait(let seconds):
                try await time.sleep(time.now() + Int64(seconds))
                step = order.waited()
            case .present(let answer):
                present(answer)
                step = order.presented()
            case .issued(let certificate):
                return .success(certificate)
            case .failed(let failure):
                return .failure(failure)
            }
        }
    }

    private func present(_ answer: ChallengeAnswer) {
        let now = time.now()
        let certificate =
            answer.kind == .tlsALPN01
            ? (try? ChallengeCertificate(answer, now: now)).flatMap { NameCertificate($0, notAfter: now) } : nil
        state.withLock { $0.table.present(CertificateTable.Answer(answer: answer, certificate: certificate)) }
    }

    /// Shows a certificate from a file, without an order.
    private func found(_ certificate: IssuedCertificate) {
        let now = time.now()
        let isWanted = state.withLock { state in
            state.keep(certificate)
            let owner = state.schedule.status(of: certificate.name, now: now)?.owner
            state.schedule.abandoned(certificate.name, hasOrdered: false)
            guard state.schedule.wants(certificate.name) else { return false }
            state.schedule.unwant(certificate.name, now: now)
            _ = state.schedule.want(
                certificate.name,
                owner: owner,
                certificate: certificate,
                now: now,
                using: &state.generator
            )
            state.table.set(NameCertificate(certificate), for: certificate.name)
            return true
        }
        if isWanted { onChange(certificate.name.text) }
    }

    private func issued(_ certificate: IssuedCertificate, isRenewal: Bool) {
        let name = certificate.name
        let now = time.now()
        let isWanted = state.withLock { state in
            state.keep(certificate)
            state.schedule.ended(name, with: certificate, now: now, using: &state.generator)
            guard state.schedule.wants(name) else { return false }
            state.table.set(NameCertificate(certificate), for: name)
            return true
        }
        if isWanted { onChange(name.text) }
        let days = (certificate.notAfter - now) / 86_400
        logger.notice(
            "certificate issued",
            metadata: ["name": .string(name.text), "days": .number(days), "renewal": .string(isRenewal ? "yes" : "no")]
        )
        guard let problem = storage.keep(certificate) else { return }
        logger.error("certificate not kept", metadata: ["name": .string(name.text), "reason": .string(problem)])
    }

    private func failed(_ name: CertificateName, _ failure: OrderFailure, _ hasOrdered: Bool) {
        let now = time.now()
        let status = state.withLock { state in
            state.schedule.ended(name, with: failure, hasOrdered: hasOrdered, now: now, using: &state.generator)
            return state.schedule.status(of: name, now: now)
        }
        var metadata: Logger.Metadata = ["name": .string(name.text), "reason": .string(failure.description)]
        if let status { metadata["next_attempt"] = .time(.seconds(status.nextAttempt - now)) }
        logger.warning("no certificate", metadata: metadata)
    }

    // MARK: Renewal information

    private func ask(_ name: CertificateName, _ identifier: String) async {
        let (window, retryAfter) = (try? await renewal(identifier)) ?? (nil, nil)
        let now = time.now()
        state.withLock {
            $0.schedule.suggested(window, for: name, retryAfter: retryAfter, now: now, using: &$0.generator)
        }
        guard let window else { return }
        var metadata: Logger.Metadata = ["name": .string(name.text), "until_start": .number(window.start - now)]
        if let page = window.explanation { metadata["explanation"] = .string(page) }
        logger.debug("the CA suggests a time of renewal", metadata: metadata)
    }

    /// The window that the CA suggests; nil without one. The directory is read if it is not known.
    private func renewal(_ identifier: String) async throws -> (RenewalWindow?, Int?) {
        var authority = state.withLock { $0.authority }
        if authority.directory == nil {
            guard authority.learn(try await client.send(AuthorityState.request(directory))) else { return (nil, nil) }
            let known = authority
            state.withLock { $0.authority = known }
        }
        guard let base = authority.directory?.renewalInfo, let url = RenewalWindow.url(base, identifier) else {
            return (nil, nil)
        }
        let response = try await client.send(RenewalWindow.request(url))
        let now = time.now()
        return (response.status == 200 ? RenewalWindow(response.body) : nil, response.retryAfter(now: now))
    }
}
