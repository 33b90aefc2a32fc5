import Testing

@testable import ACME

@Suite("The schedule of certificates") struct CertificateScheduleTests {
    /// A generator without chance: each choice is the first one. With 0 the choice would begin anew without end.
    struct Lowest: RandomNumberGenerator {
        mutating func next() -> UInt64 { 1 }
    }

    private static let now: Int64 = 1_900_000_000
    private var schedule = CertificateSchedule()
    private var generator = Lowest()
    private var now = Self.now

    private func name(_ text: String) -> CertificateName { .of(text) }

    private func failure(_ kind: OrderFailure.Kind, retryAfter: Int? = nil) -> OrderFailure {
        OrderFailure(kind, "it failed", remedy: "mend it", retryAfter: retryAfter)
    }

    private mutating func want(_ text: String, owner: String? = nil, certificate: IssuedCertificate? = nil) -> Bool {
        schedule.want(name(text), owner: owner, certificate: certificate, now: now, using: &generator)
    }

    private mutating func fail(_ text: String, _ failure: OrderFailure, hasOrdered: Bool = true) {
        schedule.ended(name(text), with: failure, hasOrdered: hasOrdered, now: now, using: &generator)
    }

    /// The name whose order begins now; nil if none does.
    private mutating func ordered() -> String? {
        if case .order(let name, _, _) = schedule.next(now: now) { name.text } else { nil }
    }

    /// Lets time pass until an order begins; nil if none does within a limit of looks.
    private mutating func wait() -> String? {
        for _ in 0..<3_000 {
            switch schedule.next(now: now) {
            case .order(let name, _, _): return name.text
            case .ask(let name, _): suggest(name.text, nil)
            case .idle(let until): now = until
            }
        }
        return nil
    }

    private mutating func suggest(_ text: String, _ window: RenewalWindow?, retryAfter: Int? = nil) {
        schedule.suggested(window, for: name(text), retryAfter: retryAfter, now: now, using: &generator)
    }

    private func certificate(_ text: String, from notBefore: Int64, days: Int64) throws -> IssuedCertificate {
        try TestCertificate.make(text, notBefore: notBefore, notAfter: notBefore + days * 86_400)
    }

    @Test("a name that is wanted is ordered at once and once, and one that is not wanted never")
    mutating func wanted() {
        #expect(schedule.next(now: now) == .idle(until: now + ACMELimits.leastRenewalCheck))
        #expect(want("a.example") && want("a.example"))
        #expect(schedule.next(now: now) == .order(name("a.example"), failures: 0, replacing: nil))
        #expect(schedule.status(now: now).map(\.state) == [.ordering])
        #expect(ordered() == nil)
        schedule.unwant(name("a.example"), now: now)
        #expect(ordered() == nil)
        #expect(schedule.status(now: now).isEmpty)
    }

    @Test("there is room for a bounded number of names")
    mutating func names() {
        for number in 0..<ACMELimits.names { #expect(want("a\(number).example")) }
        #expect(!want("one-more.example"))
        #expect(want("a1.example"), "a name that is there is not a further one")
        schedule.unwant(name("a1.example"), now: now)
        #expect(want("one-more.example"))
    }

    @Test(
        "a validation that fails is repeated after five minutes, then after twice the time, at most daily: four in an hour"
    )
    mutating func validation() {
        _ = want("a.example")
        var delays: [Int64] = []
        for _ in 0..<14 {
            #expect(wait() == "a.example")
            let began = now
            fail("a.example", failure(.validation))
            _ = schedule.next(now: now)
            delays.append((schedule.status(of: name("a.example"), now: now)?.nextAttempt ?? 0) - began)
        }
        #expect(delays.prefix(5) == [300, 600, 1_200, 2_400, 4_800])
        #expect(delays.suffix(2) == [ACMELimits.longestDelay, ACMELimits.longestDelay])
        #expect(1 + delays.prefix(3).count == 4)
        #expect(delays.prefix(4).reduce(0, +) > 3_600)
    }

    @Test("a refusal is repeated after a minute, or later if the CA asks for that")
    mutating func refusal() {
        _ = want("a.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.refusal))
        now += ACMELimits.firstDelay - 1
        #expect(ordered() == nil)
        now += 1
        #expect(schedule.next(now: now) == .order(name("a.example"), failures: 1, replacing: nil))
        fail("a.example", failure(.refusal, retryAfter: 4_000))
        now += 3_999
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
    }

    @Test("a name that keeps failing does not delay others")
    mutating func others() {
        _ = want("a.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.validation))
        _ = want("b.example")
        #expect(ordered() == "b.example")
        schedule.abandoned(name("b.example"), hasOrdered: false)
        now += 400
        #expect(ordered() == "b.example", "the one without failures comes first")
    }

    @Test(
        "a CA that is not reached pauses all names, without a failure of any: a minute, then twice the time, at most an hour"
    )
    mutating func unreachable() {
        _ = want("a.example")
        _ = want("b.example")
        var pauses: [Int64] = []
        for _ in 0..<8 {
            guard let text = wait() else { return #expect(Bool(false), "no order") }
            let began = now
            fail(text, failure(.authority), hasOrdered: false)
            while case .idle(let until) = schedule.next(now: now) { now = until }
            pauses.append(now - began)
            for status in schedule.status(now: now) where status.state == .ordering {
                schedule.abandoned(status.name, hasOrdered: false)
            }
        }
        #expect(pauses == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
        #expect(schedule.status(now: now).allSatisfy { $0.failures == 0 })
    }

    @Test("a CA that asks for a pause of all gets it")
    mutating func overload() {
        _ = want("a.example")
        _ = want("b.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.authority, retryAfter: 7_200), hasOrdered: false)
        now += 7_199
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
    }

    @Test(
        "a rate limit pauses the name for the CA's time, and a limit of a second domain pauses all for an hour at most"
    )
    mutating func rateLimits() {
        for text in ["a.one.example", "b.one.example", "a.two.example", "a.three.example"] { _ = want(text) }
        #expect(ordered() == "a.one.example")
        fail("a.one.example", failure(.rateLimit, retryAfter: 50_000))
        #expect(ordered() == "a.three.example", "other domains go on")
        schedule.ended(name("a.three.example"), with: failure(.refusal), hasOrdered: true, now: now, using: &generator)
        #expect(ordered() == "a.two.example")
        fail("a.two.example", failure(.rateLimit, retryAfter: 50_000))
        #expect(ordered() == nil, "the account is limited")
        now += ACMELimits.commonPause - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "b.one.example")
        schedule.abandoned(name("b.one.example"), hasOrdered: false)
        schedule.unwant(name("b.one.example"), now: now)
        schedule.unwant(name("a.three.example"), now: now)
        now += 50_000 - ACMELimits.commonPause - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.one.example")
    }

    @Test("a rate limit without a time is an hour")
    mutating func silentLimit() {
        _ = want("a.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.rateLimit))
        now += ACMELimits.limitedDelay - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
    }

    @Test("orders of an hour are bounded over all names, and the next one begins when the first one is an hour old")
    mutating func budget() {
        for number in 0...ACMELimits.ordersPerHour { _ = want("a\(number).example") }
        for _ in 0..<ACMELimits.ordersPerHour {
            guard let text = ordered() else { return #expect(Bool(false), "too few orders") }
            fail(text, failure(.validation))
            now += 1
        }
        #expect(ordered() == nil)
        now = Self.now + ACMELimits.orderPeriod - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() != nil)
    }

    @Test("a client with many names has a quarter of the orders, and the names of others come in between")
    mutating func share() {
        for number in 0..<50 { _ = want("a\(number).greedy.example", owner: "greedy") }
        _ = want("z.example", owner: "modest")
        _ = want("zz.example")
        var owners: [String] = []
        while let text = ordered() {
            owners.append(text)
            fail(text, failure(.validation))
        }
        #expect(owners.count == ACMELimits.ordersPerOwner + 2)
        #expect(owners.contains("z.example") && owners.contains("zz.example"))
    }

    @Test("orders that the CA never saw are not counted")
    mutating func uncounted() {
        for number in 0...ACMELimits.ordersPerHour { _ = want("a\(number).example") }
        for _ in 0..<50 {
            guard let text = ordered() else { return #expect(Bool(false), "too few orders") }
            fail(text, failure(.authority), hasOrdered: false)
            now += ACMELimits.commonPause
        }
    }

    @Test("a certificate is renewed at two thirds of its life, and never asked for before")
    mutating func twoThirds() throws {
        let issued = try certificate("a.example", from: now, days: 90)
        _ = want("a.example", certificate: issued)
        #expect(schedule.next(now: now) == .ask(name("a.example"), identifier: issued.renewalIdentifier ?? ""))
        #expect(schedule.status(now: now).map(\.state) == [.valid])
        #expect(wait() == "a.example")
        #expect(now == Self.now + 60 * 86_400)
        #expect(schedule.status(now: now).map(\.notAfter) == [issued.notAfter])
    }

    @Test("the renewal is up to a sixtieth of the life earlier, by chance")
    mutating func jitter() throws {
        var chance = SystemRandomNumberGenerator()
        var times: Set<Int64> = []
        let issued = try certificate("a.example", from: now, days: 60)
        for _ in 0..<50 {
            var schedule = CertificateSchedule()
            _ = schedule.want(name("a.example"), owner: nil, certificate: issued, now: now, using: &chance)
            times.insert(try #require(schedule.status(now: now).first).nextAttempt - now)
        }
        #expect(times.count > 10)
        #expect(times.allSatisfy { (39 * 86_400...40 * 86_400).contains($0) })
    }

    @Test("an expired certificate is ordered anew at once, names its predecessor, and the rest waits")
    mutating func expired() throws {
        _ = want("b.example")
        let issued = try certificate("a.example", from: now - 100 * 86_400, days: 90)
        _ = want("a.example", certificate: issued)
        #expect(schedule.status(now: now).map(\.state) == [.expired, .waiting])
        let identifier = issued.renewalIdentifier
        #expect(schedule.next(now: now) == .order(name("a.example"), failures: 0, replacing: identifier))
    }

    @Test("the CA's window is obeyed: a time inside, kept while the window stays, and at once if it is past")
    mutating func windows() throws {
        _ = want("a.example", certificate: try certificate("a.example", from: now, days: 90))
        let window = try #require(RenewalWindow(start: now + 1_000, end: now + 2_000))
        suggest("a.example", window)
        #expect(schedule.status(now: now).first?.nextAttempt == now + 1_000)
        var chance = SystemRandomNumberGenerator()
        schedule.suggested(window, for: name("a.example"), retryAfter: nil, now: now, using: &chance)
        #expect(schedule.status(now: now).first?.nextAttempt == now + 1_000, "the same window moves nothing")
        suggest("a.example", nil)
        #expect(schedule.status(now: now).first?.nextAttempt == now + 1_000, "nor does no answer")
        suggest("a.example", RenewalWindow(start: now - 2_000, end: now - 1_000))
        #expect(ordered() == "a.example")
    }

    @Test("a window behind the certificate's end is not waited for")
    mutating func lateWindow() throws {
        _ = want("a.example", certificate: try certificate("a.example", from: now, days: 12))
        suggest("a.example", RenewalWindow(start: now + 100 * 86_400, end: now + 101 * 86_400))
        #expect(schedule.status(now: now).first?.nextAttempt == now + 11 * 86_400)
    }

    @Test(
        "the CA is asked again when it wishes, hourly at most and daily at least",
        arguments: [
            (nil, ACMELimits.renewalCheck), (0, 3_600), (3_599, 3_600), (3_601, 3_601), (86_399, 86_399),
            (999_999, 86_400),
        ] as [(Int?, Int64)]
    )
    mutating func checks(retryAfter: Int?, seconds: Int64) throws {
        let issued = try certificate("a.example", from: now, days: 90)
        _ = want("a.example", certificate: issued)
        guard case .ask = schedule.next(now: now) else { return #expect(Bool(false), "it does not ask") }
        suggest("a.example", nil, retryAfter: retryAfter)
        let asked = now
        while case .idle(let until) = schedule.next(now: now) {
            #expect(until - now <= ACMELimits.leastRenewalCheck)
            now = until
        }
        #expect(now - asked == seconds)
    }

    @Test("a CA that wants each new certificate renewed at once gets one order an hour")
    mutating func eager() throws {
        _ = want("a.example")
        #expect(ordered() == "a.example")
        let issued = try certificate("a.example", from: now, days: 90)
        schedule.ended(name("a.example"), with: issued, now: now, using: &generator)
        suggest("a.example", RenewalWindow(start: now - 2, end: now - 1))
        now += ACMELimits.leastRenewal - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
    }

    @Test("a client that leaves and comes back saves no pause, and starts no second order beside the first one")
    mutating func comeBack() throws {
        _ = want("a.example", owner: "al")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.validation))
        schedule.unwant(name("a.example"), now: now)
        _ = want("a.example", owner: "al")
        #expect(schedule.status(now: now).first?.failures == 1)
        now += 299
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
        schedule.unwant(name("a.example"), now: now)
        _ = want("a.example", owner: "al")
        #expect(ordered() == nil, "its order is under way")
        let issued = try certificate("a.example", from: now, days: 90)
        schedule.unwant(name("a.example"), now: now)
        schedule.ended(name("a.example"), with: issued, now: now, using: &generator)
        _ = want("a.example", owner: "al")
        now += ACMELimits.leastRenewal - 1
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "a.example")
    }

    @Test("orders that are given up count, if the CA has seen them")
    mutating func givenUp() {
        for number in 0..<ACMELimits.ordersPerOwner {
            _ = want("a\(number).example", owner: "al")
            #expect(ordered() == "a\(number).example")
            schedule.unwant(name("a\(number).example"), now: now)
            schedule.abandoned(name("a\(number).example"), hasOrdered: true)
        }
        _ = want("more.example", owner: "al")
        #expect(ordered() == nil)
        _ = want("other.example", owner: "bo")
        #expect(ordered() == "other.example")
    }

    @Test("a limit before there is an order is the account's, and pauses all")
    mutating func limitedAccount() {
        _ = want("a.example")
        _ = want("b.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.rateLimit, retryAfter: 9_000), hasOrdered: false)
        now += 8_999
        #expect(ordered() == nil)
        now += 1
        #expect(ordered() == "b.example")
    }

    @Test("a clock that is set back delays nothing")
    mutating func clock() {
        _ = want("a.example")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.validation))
        now -= 1_000_000
        #expect(ordered() == "a.example")
        fail("a.example", failure(.authority), hasOrdered: false)
        now -= 1_000_000
        #expect(ordered() == "a.example")
    }

    @Test("a failure is in the status until the next certificate")
    mutating func status() throws {
        _ = want("a.example", owner: "al")
        #expect(ordered() == "a.example")
        fail("a.example", failure(.validation))
        let failing = try #require(schedule.status(now: now).first)
        #expect((failing.state, failing.failures, failing.problem) == (.failing, 1, "it failed; mend it"))
        #expect((failing.owner, failing.notAfter) == ("al", nil))
        now += 300
        #expect(ordered() == "a.example")
        let issued = try certificate("a.example", from: now, days: 90)
        schedule.ended(name("a.example"), with: issued, now: now, using: &generator)
        let valid = try #require(schedule.status(now: now).first)
        #expect((valid.state, valid.failures, valid.problem) == (.valid, 0, nil))
    }
}
