import ProxyConnect
import Testing

@Suite("Proxies from the environment")
struct ProxyEnvironmentTests {
    private let secure = ProxyEnvironment.Target(isSecure: true, host: "tunnel.example.com", port: 443)
    private let plain = ProxyEnvironment.Target(isSecure: false, host: "tunnel.example.com", port: 80)

    @Test(
        "The variable that applies is the first that is set and not empty",
        arguments: [
            ([:], nil, nil),
            (["https_proxy": "a"], "https_proxy", nil),
            (["HTTPS_PROXY": "a"], "HTTPS_PROXY", nil),
            (["https_proxy": "a", "HTTPS_PROXY": "b"], "https_proxy", nil),
            (["https_proxy": "", "HTTPS_PROXY": "b"], "HTTPS_PROXY", nil),
            (["https_proxy": "", "all_proxy": "b"], "all_proxy", "all_proxy"),
            (["http_proxy": "a"], nil, "http_proxy"),
            // R18 upper-case HTTP_PROXY may be a request's field under CGI: it is never read.
            (["HTTP_PROXY": "a"], nil, nil),
            (["HTTP_PROXY": "a", "REQUEST_METHOD": "GET", "ALL_PROXY": "b"], "ALL_PROXY", "ALL_PROXY"),
            (["all_proxy": "a", "ALL_PROXY": "b"], "all_proxy", "all_proxy"),
            (["https_proxy": "a", "http_proxy": "b", "all_proxy": "c"], "https_proxy", "http_proxy"),
            (["https_proxy": "a", "no_proxy": "*"], nil, nil),
            (["https_proxy": "a", "NO_PROXY": "example.com"], nil, nil),
            (["https_proxy": "a", "no_proxy": "other.org", "NO_PROXY": "*"], "https_proxy", nil),
            (["https_proxy": "a", "no_proxy": "", "NO_PROXY": "*"], nil, nil),
            (["all_proxy": "a", "no_proxy": "example.com:443"], nil, "all_proxy"),
        ] as [([String: String], String?, String?)]
    )
    func r18_variables(_ variables: [String: String], _ forSecure: String?, _ forPlain: String?) throws {
        let environment = ProxyEnvironment(variables)
        for (target, name) in [(secure, forSecure), (plain, forPlain)] {
            #expect(environment.variable(for: target) == name)
            let expected = try name.map { ProxyChoice.proxy(try ProxyURL(variables[$0] ?? "")) } ?? .direct
            #expect(try environment.choice(for: target) == expected)
        }
    }

    @Test("A malformed variable is an error that names the variable and not its value")
    func malformed() throws {
        let environment = ProxyEnvironment(["https_proxy": "http://u:secret@", "http_proxy": "proxy:1"])
        do throws(ProxyEnvironment.Failure) {
            _ = try environment.choice(for: secure)
            Issue.record("no error")
        } catch {
            #expect(error.variable == "https_proxy")
            #expect(error.description.hasPrefix("https_proxy: "))
            #expect(!error.description.contains("secret"))
        }
        #expect(try environment.choice(for: plain) == .proxy(ProxyURL("proxy:1")))
    }

    @Test(
        "NO_PROXY contains names, suffixes, ports, addresses and blocks",
        arguments: [
            ("*", "anything", 1, true),
            ("*:81", "anything", 80, false),
            ("example.com", "example.com", 443, true),
            ("example.com", "a.b.example.com", 443, true),
            ("example.com", "badexample.com", 443, false),
            ("example.com", "example.com.evil", 443, false),
            (".example.com", "example.com", 443, true),
            (".example.com", "a.example.com", 443, true),
            ("*.example.com", "a.example.com", 443, true),
            ("EXAMPLE.com.", "A.Example.COM", 443, true),
            ("example.com", "a.example.com.", 443, true),
            ("example.com:443", "a.example.com", 443, true),
            ("example.com:443", "a.example.com", 8443, false),
            ("x, example.com\t,y", "example.com", 1, true),
            ("x example.com y", "example.com", 1, true),
            (",,", "example.com", 1, false),
            ("", "example.com", 1, false),
            (".", "example.com", 1, false),
            ("com", "example.com", 1, true),
            ("192.0.2.1", "192.0.2.1", 1, true),
            ("192.0.2.1", "::ffff:192.0.2.1", 1, true),
            ("192.0.2.1:80", "192.0.2.1", 80, true),
            ("192.0.2.1:80", "192.0.2.1", 81, false),
            ("2.1", "192.0.2.1", 1, false),
            ("10.0.0.0/8", "10.9.8.7", 1, true),
            ("10.0.0.0/8", "11.9.8.7", 1, false),
            ("10.0.0.0/8", "10.0.0.0.example.com", 1, false),
            ("fd00::/8", "[fd12::1]", 1, true),
            ("2001:db8::1", "[2001:DB8:0::1]", 1, true),
            ("[2001:db8::1]", "2001:db8::1", 1, true),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("[2001:db8::1]:443", "2001:db8::1", 444, false),
            ("10.0.0.0/33", "10.0.0.1", 1, false),
            ("127.1", "127.0.0.1", 1, false),
            ("localhost", "localhost", 1, true),
            ("localhost", "127.0.0.1", 1, false),
            ("example.com:x", "example.com", 1, false),
            ("example.com:", "example.com", 1, false),
        ]
    )
    func noProxy(_ list: String, _ host: String, _ port: Int, _ expected: Bool) {
        #expect(NoProxyList(list).contains(host: host, port: port) == expected)
    }
}
