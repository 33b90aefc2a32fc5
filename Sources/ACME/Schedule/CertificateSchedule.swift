/// Decides which name gets its certificate next: an automaton without a clock.
///
/// Times are seconds since 1970. No time lies more than a day ahead without being looked at again, so a clock that is set
/// back delays nothing for longer.
public struct CertificateSchedule: Sendable {
    /// What to do next.
    public enum Decision: Sendable, Hashable {
        /// Order a certificate, and call `ended`.
        ///
        /// - Parameters:
        ///   - failures: the number of failures in a row, for another way at each attempt.
        ///   - replacing: the renewal id of the certificate that is there; nil for none.
        case order(CertificateName, failures: Int, replacing: String?)
        /// Ask the CA when to renew, and call `suggested`.
        case ask(CertificateName, identifier: String)
        /// Nothing before that time, unless something changes.
        case idle(until: Int64)
    }

    /// The certificate of a name, as far as times matter.
    private struct Certificate {
        let notBefore: Int64
        let notAfter: Int64
        let identifier: String?
        var renewAt: Int64
        var window: RenewalWindow?
        /// When to ask the CA for the window.
        var askAt: Int64
    }

    private struct Entry {
        let owner: String?
        var certificate: Certificate?
        var failures = 0
        /// No order before that time, after a failure.
        var notBefore: Int64 = 0
        var problem: String?
    }

    /// What is remembered of a name that is not wanted any more: a client that leaves and comes back saves no pause.
    private struct Past {
        let failures: Int
        let notBefore: Int64
        let problem: String?
    }

    private var entries: [CertificateName: Entry] = [:]
    private var past: [CertificateName: Past] = [:]
    /// Names whose orders are in progress, wanted or not, with their owners.
    private var orders: [CertificateName: String?] = [:]
    private var budget = OrderBudget()
    private var pause = AuthorityPause()

    /// A schedule without names.
    public init() {}

    // MARK: Names

    /// Whether there is room for another name.
    public var isFull: Bool { entries.count >= ACMELimits.names }

    /// Whether a certificate for the name is wanted.
    public func wants(_ name: CertificateName) -> Bool { entries[name] != nil }

    /// Wants a certificate for a name from now on.
    ///
    /// - Parameters:
    ///   - owner: the client that has claimed the name; nil for a configured one.
    ///   - certificate: the one that is there.
    /// - Returns: false if there are too many names.
    public mutating func want(
        _ name: CertificateName,
        owner: String?,
        certificate: IssuedCertificate?,
        now: Int64,
        using generator: inout some RandomNumberGenerator
    ) -> Bool {
        guard entries[name] == nil else { return true }
        guard !isFull else { return false }
        let past = past.removeValue(forKey: name)
        entries[name] = Entry(
            owner: owner,
            certificate: certificate.map { Self.times($0, now, &generator) },
            failures: past?.failures ?? 0,
            notBefore: past?.notBefore ?? 0,
            problem: past?.problem
        )
        return true
    }

    /// Wants none any more. Its order, if there is one, is to be given up.
    public mutating func unwant(_ name: CertificateName, now: Int64) {
        guard let entry = entries.removeValue(forKey: name) else { return }
        remember(name, Past(failures: entry.failures, notBefore: entry.notBefore, problem: entry.problem), now)
    }

    /// Remembers the pause of a name until it is over, of a bounded number of names.
    private mutating func remember(_ name: CertificateName, _ pause: Past, _ now: Int64) {
        guard Self.near(pause.notBefore, now) > now else { return }
        if past.count >= ACMELimits.names { past = past.filter { Self.near($0.value.notBefore, now) > now } }
        if past.count >= ACMELimits.names, let first = past.min(by: { $0.value.notBefore < $1.value.notBefore }) {
            past[first.key] = nil
        }
        past[name] = pause
    }

    // MARK: Decisions

    /// What to do now.
    public mutating func next(now: Int64) -> Decision {
        var wake = now + ACMELimits.leastRenewalCheck
        let resume = pause.end(now: now)
        guard resume <= now else { return .idle(until: min(resume, wake)) }
        // Renewals are few and have a deadline; then the names that fail the least.
        let due = entries.filter { orders[$0.key] == nil }.sorted { Self.rank($0) < Self.rank($1) }
        for (name, entry) in due {
            let time = max(Self.attempt(entry, now), budget.next(for: entry.owner, now: now))
            guard time <= now else {
                wake = min(wake, time)
                continue
            }
            orders[name] = .some(entry.owner)
            budget.count(entry.owner, now: now)
            return .order(name, failures: entry.failures, replacing: entry.certificate?.identifier)
        }
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) where orders[name] == nil {
            guard let certificate = entry.certificate, let identifier = certificate.identifier else { continue }
            let time = Self.near(certificate.askAt, now)
            guard time <= now else {
                wake = min(wake, time)
                continue
            }
            // The answer changes it; without one the next question is not at once.
            entries[name]?.certificate?.askAt = now + ACMELimits.renewalCheck
            return .ask(name, identifier: identifier)
        }
        return .idle(until: wake)
    }

    private typealias Rank = (Int, Int64, Int, Int64, CertificateName)

    private static func rank(_ item: (key: CertificateName, value: Entry)) -> Rank {
        let entry = item.value
        return (
            entry.certificate == nil ? 1 : 0, entry.certificate?.notAfter ?? 0, entry.failures, entry.notBefore,
            item.key
        )
    }

    /// When the next order of a name may begin.
    private static func attempt(_ entry: Entry, _ now: Int64) -> Int64 {
        max(near(entry.notBefore, now), entry.certificate?.renewAt ?? 0)
    }

    /// A time that this schedule has set itself; one too far ahead is from before the clock was set back.
    private static func near(_ time: Int64, _ now: Int64) -> Int64 {
        time > now + ACMELimits.longestDelay + ACMELimits.longestDelay / 10 ? now : time
    }

    // MARK: Results

    /// An order has led to a certificate.
    public mutating func ended(
        _ name: CertificateName,
        with certificate: IssuedCertificate,
        now: Int64,
        using generator: inout some RandomNumberGenerator
    ) {
        pause.succeeded()
        orders[name] = nil
        let owner = entries[name]?.owner
        var next = Entry(owner: owner, certificate: Self.times(certificate, now, &generator))
        // A CA that wants a renewal at once, or a wrong clock, must not lead to a row of orders.
        next.notBefore = now + ACMELimits.leastRenewal
        if entries[name] == nil {
            remember(name, Past(failures: 0, notBefore: next.notBefore, problem: nil), now)
        } else {
            entries[name] = next
        }
    }

    /// An order has led to none.
    ///
    /// - Parameter hasOrdered: whether the CA was asked for an order.
    public mutating func ended(
        _ name: CertificateName,
        with failure: OrderFailure,
        hasOrdered: Bool,
        now: Int64,
        using generator: inout some RandomNumberGenerator
    ) {
        close(name, hasOrdered)
        switch (failure.kind, hasOrdered) {
        case (.authority, _): pause.failed(retryAfter: failure.retryAfter, now: now)
        // Before an order it is not about a name.
        case (.rateLimit, false):
            pause.failed(retryAfter: failure.retryAfter ?? Int(ACMELimits.limitedDelay), now: now)
        default: pause.succeeded()
        }
        entries[name]?.problem = failure.description
        // The CA's own trouble is no name's: all wait the same.
        guard failure.kind != .authority || hasOrdered, let entry = entries[name] else { return }
        let first = failure.kind == .validation ? ACMELimits.firstValidationDelay : ACMELimits.firstDelay
        let failures = entry.failures + 1
        var delay = Backoff.delay(after: failures, first: first, most: ACMELimits.longestDelay)
        let asked = failure.kind == .rateLimit ? failure.retryAfter.map(Int64.init) ?? ACMELimits.limitedDelay : 0
        delay = min(max(delay, asked, Int64(failure.retryAfter ?? 0)), ACMELimits.longestDelay)
        entries[name]?.failures = failures
        entries[name]?.notBefore = now + delay + Int64.random(in: 0...delay / 10, using: &generator)
        if failure.kind == .rateLimit, hasOrdered { pause.limited(name, until: now + delay, now: now) }
    }

    /// The order was given up without a result: the name is not wanted any more, or the server ends.
    public mutating func abandoned(_ name: CertificateName, hasOrdered: Bool) { close(name, hasOrdered) }

    /// The order of a name is over. One that the CA has not seen does not count.
    private mutating func close(_ name: CertificateName, _ hasOrdered: Bool) {
        guard let owner = orders.removeValue(forKey: name), !hasOrdered else { return }
        budget.refund(owner)
    }

    /// The CA has said when to renew.
    ///
    /// - Parameters:
    ///   - window: nil if it has said nothing that can be used: the last answer holds, or two thirds of the life.
    ///   - retryAfter: seconds until the next question.
    public mutating func suggested(
        _ window: RenewalWindow?,
        for name: CertificateName,
        retryAfter: Int?,
        now: Int64,
        using generator: inout some RandomNumberGenerator
    ) {
        guard var certificate = entries[name]?.certificate else { return }
        let wish = Int64(retryAfter ?? Int(ACMELimits.renewalCheck))
        certificate.askAt = now + min(max(wish, ACMELimits.leastRenewalCheck), ACMELimits.greatestRenewalCheck)
        if let window, window.start != certificate.window?.start || window.end != certificate.window?.end {
            certificate.window = window
            // A time after the end of the certificate would leave visitors without one.
            let latest = max(certificate.notBefore, Self.life(certificate.notBefore, certificate.notAfter, 11))
            certificate.renewAt = min(window.time(&generator), latest)
        }
        entries[name]?.certificate = certificate
    }

    private static func times(
        _ issued: IssuedCertificate,
        _ now: Int64,
        _ generator: inout some RandomNumberGenerator
    ) -> Certificate {
        let usual = life(issued.notBefore, issued.notAfter, 8)
        let jitter = Int64.random(in: 0...max(0, (issued.notAfter - issued.notBefore) / 60), using: &generator)
        return Certificate(
            notBefore: issued.notBefore,
            notAfter: issued.notAfter,
            identifier: issued.renewalIdentifier,
            renewAt: usual - jitter,
            askAt: now
        )
    }

    /// So many twelfths of a certificate's life: eight are two thirds.
    private static func life(_ notBefore: Int64, _ notAfter: Int64, _ twelfths: Int64) -> Int64 {
        notBefore + max(0, notAfter - notBefore) / 12 * twelfths
    }

    // MARK: Status

    /// All names, in order.
    public func status(now: Int64) -> [CertificateStatus] {
        entries.keys.sorted().compactMap { status(of: $0, now: now) }
    }

    /// One name; nil if it is not wanted.
    public func status(of name: CertificateName, now: Int64) -> CertificateStatus? {
        guard let entry = entries[name] else { return nil }
        let state: CertificateStatus.State =
            switch entry.certificate {
            case _ where orders[name] != nil: .ordering
            case let certificate?: certificate.notAfter > now ? .valid : .expired
            case nil: entry.problem == nil ? .waiting : .failing
            }
        return CertificateStatus(
            name: name,
            owner: entry.owner,
            state: state,
            notAfter: entry.certificate?.notAfter,
            nextAttempt: max(Self.attempt(entry, now), pause.end(now: now), now),
            failures: entry.failures,
            problem: entry.problem
        )
    }
}
