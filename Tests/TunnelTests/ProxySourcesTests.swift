import Logging
import ProxyConnect
import Testing

@testable import TunnelClient

/// The public interface for the proxies of a client.
@Suite("The sources of proxies")
struct ProxySourcesTests {
    /// An engine that evaluates nothing.
    private struct Engine: ProxyScriptEngine {
        func answer(of script: [UInt8], url: String, host: String) async throws -> String {
            throw ProxyScriptFailure(reason: "there is no engine", remedy: "")
        }
    }

    private func ways(_ sources: [String]) async throws -> [String] {
        let sources = ProxySources(
            try sources.map { text in try ProxySource(text) },
            engine: Engine(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        return try await sources.choices(for: EndpointURL("wss://tunnel.example")).map(\.description)
    }

    private static let script = "pac+file:///dev/null/no-such-script"

    @Test("give their proxies in order, and skip a script that cannot be read if others are left")
    func order() async throws {
        #expect(try await ways(["p:1", "none"]) == ["http://p:1", "none"])
        #expect(try await ways([Self.script, "p:1"]) == ["http://p:1"])
        await #expect { try await ways([Self.script]) } throws: {
            ($0 as? DialError)?.hop == .proxyScript && ($0 as? DialError)?.disposition == .retry
        }
    }

    @Test("are proxies, scripts or none")
    func reading() throws {
        #expect(try ProxySource("none") == .choice(.direct))
        #expect(try ProxySource("socks5://p:1") == .choice(.proxy(ProxyURL("socks5://p:1"))))
        #expect(try ProxySource("pac+http://h/p") == .script(ProxyScriptLocation("pac+http://h/p")))
        for text in ["", "ftp://p:1", "pac+https://h/p"] {
            #expect(throws: ProxySource.Malformed.self) { try ProxySource(text) }
        }
    }

    @Test("of the environment depend on the scheme of each endpoint, and a malformed variable is an error")
    func environment() async throws {
        let (secure, plain) = (try EndpointURL("wss://tunnel.example"), try EndpointURL("ws://tunnel.example"))
        let environment = ProxyEnvironment(["https_proxy": "p:1"])
        let choices = try environment.choices(for: [secure, plain])
        #expect(try await choices(secure).map(\.description) == ["http://p:1"])
        #expect(try await choices(plain) == [.direct])
        #expect(throws: ProxyEnvironment.Failure.self) {
            try ProxyEnvironment(["https_proxy": "p:x"]).choices(for: [secure])
        }
    }
}
