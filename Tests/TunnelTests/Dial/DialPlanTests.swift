import Mux
import ProxyConnect
import Testing

@testable import TunnelClient

@Suite("The order of servers and proxies")
struct DialPlanTests {
    private func configuration(_ servers: [String], _ proxies: [String]) throws -> ClientConfiguration {
        var configuration = ClientConfiguration(
            endpoints: try servers.map { text in try EndpointURL(text) },
            tunnels: [],
            token: nil,
            instance: []
        )
        let choices = try proxies.map { text in try ProxyChoice(argument: text) }
        configuration.proxies = { _ in choices }
        return configuration
    }

    private func order(_ plan: DialPlan, _ configuration: ClientConfiguration) async throws -> [String] {
        try await plan.ways(configuration).map { "\($0.endpoint.host) by \($0.choice)" }
    }

    private let refusal = DialError.fixture(.proxy, "407", .refused)

    @Test("Each server is dialled through each proxy, and directly only if none is listed")
    func named() async throws {
        let two = try configuration(["ws://a", "ws://b"], ["http://p:1", "none"])
        #expect(
            try await order(DialPlan(), two)
                == ["a by http://p:1", "a by none", "b by http://p:1", "b by none"]
        )
        #expect(try await order(DialPlan(), configuration(["ws://a"], ["p:1"])) == ["a by http://p:1"])
    }

    @Test("The last successful way is tried first, and no way is tried twice")
    func remembered() async throws {
        let configuration = try configuration(["ws://a"], ["p:1", "q:1", "none", "q:1"])
        var plan = DialPlan()
        plan.worked(try await plan.ways(configuration)[1])
        #expect(try await order(plan, configuration) == ["a by http://q:1", "a by http://p:1", "a by none"])
    }

    @Test("Servers of the client's other sessions are tried behind all others, whatever worked last")
    func avoided() async throws {
        let configuration = try configuration(["ws://a", "ws://b", "ws://c"], ["p:1", "none"])
        var plan = DialPlan()
        plan.worked(try await plan.ways(configuration)[1])
        let ways = try await plan.ways(configuration, avoiding: [try EndpointURL("ws://a")])
        #expect(ways.map(\.endpoint.host) == ["b", "b", "c", "c", "a", "a"])
        #expect(ways[4].choice == .direct, "the last way of a is its first")
    }

    @Test("For 15 s without a carrier only the session's own server is tried")
    func soleServer() async throws {
        let configuration = try configuration(["ws://a", "ws://b"], ["none"])
        var plan = DialPlan()
        #expect(plan.soleEndpoint(withoutCarrierFor: .zero) == nil)
        plan.worked(try await plan.ways(configuration)[1])
        #expect(plan.soleEndpoint(withoutCarrierFor: .zero)?.host == "b")
        #expect(plan.soleEndpoint(withoutCarrierFor: .seconds(15))?.host == "b")
        #expect(plan.soleEndpoint(withoutCarrierFor: .seconds(15) + .nanoseconds(1)) == nil)
    }

    /// The permitted ways, each with `+` for credentials and `-` without.
    private func open(
        _ plan: DialPlan,
        _ configuration: ClientConfiguration,
        at seconds: UInt64
    ) async throws -> [String] {
        let now = Instant(nanoseconds: seconds * 1_000_000_000)
        return try await plan.ways(configuration).compactMap { way in
            switch plan.permission(for: way, configuration, now: now) {
            case .granted: "+\(way.endpoint.host) by \(way.choice)"
            case .withoutCredentials: "-\(way.endpoint.host) by \(way.choice)"
            case .denied: nil
            }
        }
    }

    @Test("R10 a proxy that refused the credentials is not tried for any server for half an hour")
    func r10_refused() async throws {
        let configuration = try configuration(["ws://a", "ws://b"], ["p:1", "none"])
        var plan = DialPlan()
        let first = try await plan.ways(configuration)[0]
        plan.refused(first, refusal, configuration, now: Instant(nanoseconds: 0))
        #expect(try await open(plan, configuration, at: 1) == ["+a by none", "+b by none"])
        #expect(try await open(plan, configuration, at: 1_799) == ["+a by none", "+b by none"])
        #expect(try await open(plan, configuration, at: 1_801).count == 4)
    }

    @Test("R10 another proxy gets no credentials that one has refused, and a proxy with its own credentials gets them")
    func r10_sameCredentials() async throws {
        var configuration = try configuration(["ws://a"], ["p:1", "q:1", "x:y@r:1", "none"])
        (configuration.proxyCredentials.user, configuration.proxyCredentials.password) = ("alice", "secret")
        var plan = DialPlan()
        let first = try await plan.ways(configuration)[0]
        plan.refused(first, refusal, configuration, now: Instant(nanoseconds: 0))
        #expect(
            try await open(plan, configuration, at: 1)
                == ["-a by http://q:1", "+a by http://x:***@r:1", "+a by none"]
        )
    }

    @Test("A failed source of proxies is retried")
    func unknownProxies() async throws {
        struct Broken: Error {}
        var configuration = try configuration(["ws://a"], [])
        configuration.proxies = { _ in throw Broken() }
        let broken = configuration
        let error = await #expect(throws: DialError.self) { try await DialPlan().ways(broken) }
        #expect(error?.disposition == .retry)
    }

    // MARK: One round

    private func round(_ count: Int) throws -> DialRound {
        DialRound(
            try (1...max(count, 1)).prefix(count).map { number in
                DialWay(endpoint: try EndpointURL("ws://s\(number)"), choice: .direct)
            }
        )
    }

    /// The error of a round whose ways fail with these errors, and the next way.
    private func outcome(_ failures: [DialError], hasWorked: Bool = false) throws -> String {
        var round = try round(failures.count + 1)
        for failure in failures {
            guard let attempt = round.next({ _ in .granted }) else { break }
            do {
                try round.failed(attempt, failure, hasWorked: hasWorked)
            } catch {
                return "ends with \(error.answer)"
            }
        }
        let next = round.next { _ in .granted }?.way.endpoint.host
        return "\(round.error.answer), then \(next ?? "nothing")"
    }

    @Test("A server's refusal ends a round unless a session has worked, and a proxy's does not")
    func refusals() throws {
        let server = DialError.fixture(.session, "server", .refused)
        let proxy = DialError.fixture(.proxy, "proxy", .refused)
        #expect(try outcome([server]) == "ends with server")
        #expect(try outcome([server], hasWorked: true) == "server, then s2")
        #expect(try outcome([proxy]) == "proxy, then s2")
    }

    @Test("A temporary failure determines the round's error, and the last of several does")
    func decidingFailure() throws {
        let (first, second) = (DialError.fixture(.connect, "1", .retry), DialError.fixture(.connect, "2", .retry))
        let foreign = DialError.fixture(.upgrade, "foreign", .notOursAtFirst)
        let other = DialError.fixture(.upgrade, "other", .notOursAtFirst)
        #expect(try outcome([first, second]) == "2, then s3")
        #expect(try outcome([first, foreign]) == "1, then s3")
        #expect(try outcome([foreign, first]) == "1, then s3")
        #expect(try outcome([foreign, other]) == "other, then s3")
    }

    @Test("A round without ways reports it, and one whose only proxy is skipped repeats its refusal")
    func nothingToTry() throws {
        var empty = try round(0)
        let none = empty.next { _ in .granted }
        #expect(none?.way == nil)
        #expect(empty.error.answer == "no server to dial" && empty.error.disposition == .configuration)
        var denied = try round(1)
        let nothing = denied.next { [refusal] _ in .denied(refusal) }
        #expect(nothing?.way == nil)
        #expect(denied.error.answer == "407" && denied.error.disposition == .refused)
    }

    @Test("The error of a round names a skipped proxy")
    func skippedProxy() throws {
        var refused = refusal
        refused.proxy = "http://p:1"
        var round = try round(2)
        let next = round.next { [refused] in $0.endpoint.host == "s1" ? .denied(refused) : .granted }
        let attempt = try #require(next)
        #expect(attempt.way.endpoint.host == "s2")
        try round.failed(attempt, .fixture(.connect, "no way", .retry), hasWorked: false)
        #expect(round.error.answer.hasPrefix("no way (the proxy http://p:1 has refused the credentials"))
    }

    @Test("A proxy that requires refused credentials counts as skipped")
    func withheld() throws {
        var round = try round(1)
        let next = round.next { [refusal] _ in .withoutCredentials(refusal) }
        let attempt = try #require(next)
        #expect(attempt.withheld?.answer == "407")
        try round.failed(attempt, .fixture(.proxy, "credentials needed", .refusedAtFirst), hasWorked: false)
        #expect(round.failure == nil && round.error.answer == "407")
    }
}

extension DialError {
    /// Creates an error for a test.
    static func fixture(_ hop: Hop, _ answer: String, _ disposition: Disposition) -> DialError {
        DialError(hop: hop, endpoint: "", proxy: nil, answer: answer, remedy: "", disposition: disposition)
    }
}
