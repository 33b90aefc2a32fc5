import Mux
import ProxyConnect
import Testing

@testable import TunnelClient

@Suite("The order of several ways")
struct DialWaysTests {
    private func configuration(_ servers: [String], _ proxies: [String]) throws -> ClientConfiguration {
        var configuration = ClientConfiguration(
            endpoints: try servers.map { text in try EndpointURL(text) },
            forwards: [],
            token: nil,
            instance: []
        )
        let choices = try proxies.map { text in try ProxyChoice(argument: text) }
        configuration.proxies = { _ in choices }
        return configuration
    }

    private func order(_ ways: DialWays, _ configuration: ClientConfiguration) async throws -> [String] {
        try await ways.inOrder(configuration).map { "\($0.endpoint.host) by \($0.choice)" }
    }

    private let refusal = DialError(
        hop: .proxy,
        endpoint: "",
        proxy: nil,
        answer: "407",
        remedy: "",
        disposition: .refused
    )

    @Test("Every server by every proxy, and directly only where none is named")
    func named() async throws {
        let two = try configuration(["ws://a", "ws://b"], ["http://p:1", "none"])
        #expect(
            try await order(DialWays(), two)
                == ["a by http://p:1", "a by none", "b by http://p:1", "b by none"]
        )
        #expect(try await order(DialWays(), configuration(["ws://a"], ["p:1"])) == ["a by http://p:1"])
    }

    @Test("The way that worked is the first one the next time, and no way is tried twice")
    func remembered() async throws {
        let configuration = try configuration(["ws://a"], ["p:1", "q:1", "none", "q:1"])
        var ways = DialWays()
        ways.worked(try await ways.inOrder(configuration)[1])
        #expect(try await order(ways, configuration) == ["a by http://q:1", "a by http://p:1", "a by none"])
    }

    /// The ways and how they may be tried: `+` as they are, `-` without credentials, those that may not left out.
    private func open(
        _ ways: DialWays,
        _ configuration: ClientConfiguration,
        at seconds: UInt64
    ) async throws -> [String] {
        let now = Instant(nanoseconds: seconds * 1_000_000_000)
        return try await ways.inOrder(configuration).compactMap { way in
            switch ways.permission(for: way, configuration, now: now) {
            case .asItIs: "+\(way.endpoint.host) by \(way.choice)"
            case .withoutCredentials: "-\(way.endpoint.host) by \(way.choice)"
            case .notNow: nil
            }
        }
    }

    @Test("R10 a proxy that has refused the credentials is not asked again for any server, for half an hour")
    func r10_refused() async throws {
        let configuration = try configuration(["ws://a", "ws://b"], ["p:1", "none"])
        var ways = DialWays()
        let first = try await ways.inOrder(configuration)[0]
        ways.refused(first, refusal, configuration, now: Instant(nanoseconds: 0))
        #expect(try await open(ways, configuration, at: 1) == ["+a by none", "+b by none"])
        #expect(try await open(ways, configuration, at: 1_799) == ["+a by none", "+b by none"])
        #expect(try await open(ways, configuration, at: 1_801).count == 4)
    }

    @Test("R10 another proxy that would get the same credentials gets none; one with its own gets these")
    func r10_sameCredentials() async throws {
        var configuration = try configuration(["ws://a"], ["p:1", "q:1", "x:y@r:1", "none"])
        (configuration.proxyCredentials.user, configuration.proxyCredentials.password) = ("alice", "secret")
        var ways = DialWays()
        let first = try await ways.inOrder(configuration)[0]
        ways.refused(first, refusal, configuration, now: Instant(nanoseconds: 0))
        #expect(
            try await open(ways, configuration, at: 1)
                == ["-a by http://q:1", "+a by http://x:***@r:1", "+a by none"]
        )
    }

    @Test("A source of proxies that fails is an error that is tried again")
    func unknownProxies() async throws {
        struct Broken: Error {}
        var configuration = try configuration(["ws://a"], [])
        configuration.proxies = { _ in throw Broken() }
        let broken = configuration
        let error = await #expect(throws: DialError.self) { try await DialWays().inOrder(broken) }
        #expect(error?.disposition == .retry)
    }
}
