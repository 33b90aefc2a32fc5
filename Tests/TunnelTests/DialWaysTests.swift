import ProxyConnect
import Testing

@testable import Tunnel

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

    @Test("R10 a proxy that has refused the credentials is not asked again; when it was the last, that is the error")
    func r10_refused() async throws {
        let configuration = try configuration(["ws://a", "ws://b"], ["p:1", "q:1"])
        var ways = DialWays()
        let all = try await ways.inOrder(configuration)
        ways.refused(all[0], refusal)
        #expect(try await order(ways, configuration) == ["a by http://q:1", "b by http://q:1"])
        ways.refused(all[1], refusal)
        let error = await #expect(throws: DialError.self) { try await ways.inOrder(configuration) }
        #expect(error?.disposition == .refused)
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
