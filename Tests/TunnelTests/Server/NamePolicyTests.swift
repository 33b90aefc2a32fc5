import HTTPRelay
import Mux
import TestSupport
import Testing
import TunnelCore

@testable import TunnelServer

@Suite("Host names that a client may have")
struct NamePolicyTests {
    private func policy(
        _ patterns: [String],
        domain: String? = "example.test",
        http: Bool = true,
        https: Bool = false,
        own: String? = nil
    ) throws -> NamePolicy {
        var configuration = ServerConfiguration()
        if http { configuration.httpListen = [.tcp(host: "0.0.0.0", port: 80)] }
        if https { configuration.httpsListen = [.tcp(host: "0.0.0.0", port: 443)] }
        configuration.httpDomain = domain.flatMap { PublicName($0) }
        configuration.endpointHost = own.flatMap { PublicName($0) }
        var rights = ClientRights(name: "al", verifier: .placeholder)
        rights.names = try patterns.map { try #require(NamePattern($0)) }
        return NamePolicy(rights, configuration)
    }

    private func outcome(_ policy: NamePolicy, _ request: RequestedName) -> String {
        do throws(Refusal) {
            return try policy.permitted(request).name
        } catch {
            return error.text
        }
    }

    @Test(
        "are completed below the domain, in lower case, and compared with the patterns",
        arguments: [
            ("app", "app.example.test"), ("APP.Example.TEST.", "app.example.test"),
            ("a.b.example.test", "a.b.example.test"), ("blog.other.test", "blog.other.test"),
            ("x.other.test", "the name x.other.test is not allowed here"),
            ("example.test", "the name example.test is not allowed here"),
            ("192.0.2.1", "192.0.2.1 is not a host name"), ("a..b", "a..b is not a host name"),
            ("tunnel", "tunnel.example.test is the server's own name"),
        ]
    )
    func names(name: String, expected: String) throws {
        let policy = try policy(["*.example.test", "blog.other.test"], own: "tunnel.example.test")
        #expect(outcome(policy, RequestedName(.http, name)).hasPrefix(expected))
    }

    @Test("need a domain if they are short, a pattern, and an address at which they are public")
    func needs() throws {
        let http = RequestedName(.http, "app")
        #expect(try outcome(policy(["*"], domain: nil), http) == "app needs a domain: the server has no http_domain")
        #expect(try outcome(policy([]), http).hasSuffix("allowed: none"))
        #expect(try outcome(policy(["*"], http: false), http).hasPrefix("this server publishes no host names"))
        #expect(try outcome(policy(["*"]), RequestedName(.tls, "app")).hasPrefix("this server passes no TLS through"))
        #expect(try outcome(policy(["*"], https: true), RequestedName(.tls, "app")) == "app.example.test")
        let secure = try policy(["*"], http: false, https: true)
        #expect(outcome(secure, http) == "the server has no certificate for app.example.test, and no http_listen")
        var path = http
        path.path = "api"
        #expect(try outcome(policy(["*"]), path) == "the path api does not begin with /")
        var passwords = http
        passwords.passwords = ["al:secret"]
        #expect(try outcome(policy(["*"]), passwords).hasPrefix("passwords: "))
    }

    @Test("have a URL with the port if that is not the scheme's")
    func urls() throws {
        let policy = try policy(["*"], https: true)
        var request = RequestedName(.http, "app.example.test")
        #expect(policy.urls(of: NamePlace(request), at: RouterPorts(http: 80)) == "http://app.example.test")
        request.path = "/api"
        let other = RouterPorts(http: 8_081, https: 443)
        #expect(policy.urls(of: NamePlace(request), at: other) == "http://app.example.test:8081/api")
        let passed = NamePlace(RequestedName(.tls, "db.example.test"))
        #expect(policy.urls(of: passed, at: other) == "tls://db.example.test:443")
    }
}
