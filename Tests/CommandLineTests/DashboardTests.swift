import Crypto
import Foundation
import HTTP1
import Testing

@testable import TunnelAdmin
@testable import culvert

@Suite("culvert dashboard")
struct DashboardTests {
    private static let port: UInt16 = 9_000
    private static let cookie = "Cookie: a=b; culvert_dashboard_9000=biscuit; c=d"
    private static let ours = "\(DashboardRouter.field): 1"

    private func router() -> DashboardRouter {
        let access = DashboardAccess(port: Self.port, secret: "secret", cookie: "biscuit")
        return DashboardRouter(port: Self.port, access: access)
    }

    private func route(
        _ method: String,
        _ target: String,
        _ lines: [String] = [],
        host: String = "127.0.0.1:9000",
        with router: DashboardRouter? = nil
    ) throws -> DashboardRouter.Route {
        var fields = try HeaderFields([("Host", host)])
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            try fields.append(parts[0], parts[1])
        }
        return (router ?? self.router()).route(RequestHead(method: method, target: target, fields: fields))
    }

    private func status(_ route: DashboardRouter.Route) -> Int? {
        guard case .answer(let response) = route else { return nil }
        return response.status.rawValue
    }

    @Test("P20 only the page needs no cookie; every other path is 403 without it")
    func doors() throws {
        #expect(try status(route("GET", "/")) == 200)
        #expect(try status(route("GET", "/?x=1")) == 200)
        #expect(try status(route("POST", "/")) == 405)
        let others = [
            "/login", "/api/status", "/api/kick?name=a", "/api/renew", "/style.css", "/favicon.ico", "/metrics", "//",
            "/index.html", "/%2e/",
        ]
        let wrong = [
            [], [Self.ours], ["Cookie: culvert_dashboard_9000=other"], ["Cookie: culvert_dashboard_9001=biscuit"],
            ["Cookie: x=culvert_dashboard_9000=biscuit"], [Self.ours, "\(DashboardRouter.secretField): guess"],
        ]
        for path in others {
            for method in ["GET", "POST", "HEAD"] {
                for lines in wrong {
                    #expect(try status(route(method, path, lines)) == 403, "\(method) \(path) \(lines)")
                }
            }
        }
        #expect(try status(route("GET", "/favicon.ico", [Self.cookie])) == 404)
    }

    @Test("With the cookie the page asks the role, and a POST needs our field too")
    func requests() throws {
        #expect(try route("GET", "/api/status?session=7", [Self.cookie]) == .ask(.status(session: 7)))
        #expect(try route("GET", "/api/status", [Self.cookie]) == .ask(.status(session: 0)))
        #expect(try route("POST", "/api/kick?name=a%2Fb", [Self.cookie, Self.ours]) == .ask(.kick(name: "a/b")))
        #expect(try route("POST", "/api/renew?name=a", [Self.cookie, Self.ours]) == .ask(.renew(name: "a")))
        #expect(try route("POST", "/api/renew", [Self.cookie, Self.ours]) == .ask(.renew(name: nil)))
        for path in ["/api/kick?name=a", "/api/renew"] {
            #expect(try status(route("POST", path, [Self.cookie])) == 403)
            #expect(try status(route("GET", path, [Self.cookie, Self.ours])) == 405)
        }
        #expect(try status(route("POST", "/api/status", [Self.cookie, Self.ours])) == 405)
        for path in ["/api/kick", "/api/kick?name=", "/api/renew?name=", "/api/kick?name=a&b=c"] {
            #expect(try status(route("POST", path, [Self.cookie, Self.ours])) == 400, "\(path)")
        }
        #expect(DashboardRequest.kick(name: "a/b&c").command == ("POST", "/kick?name=a%2Fb%26c"))
        #expect(DashboardRequest.status(session: 3).command == ("GET", "/status?session=3"))
    }

    @Test("The secret becomes a cookie that scripts and other sites do not see, once")
    func login() throws {
        let router = router()
        let secret = "\(DashboardRouter.secretField): secret"
        #expect(try status(route("POST", "/login", [secret], with: router)) == 403)
        #expect(try status(route("GET", "/login", [Self.ours, secret], with: router)) == 403)
        let answer = try route("POST", "/login", [Self.ours, secret], with: router)
        guard case .answer(let response) = answer, response.status == .ok else {
            return #expect(Bool(false), "\(answer)")
        }
        #expect(response.fields["Set-Cookie"] == "culvert_dashboard_9000=biscuit; Path=/; HttpOnly; SameSite=Strict")
        #expect(try status(route("POST", "/login", [Self.ours, secret], with: router)) == 403)
        let (one, other) = (DashboardAccess.random(), DashboardAccess.random())
        #expect(one != other && one.count == 32)
    }

    @Test(
        "P20 a request that names another host or port is refused, before anything else",
        arguments: [
            "evil.example:9000", "127.0.0.1", "localhost:9001", "[::1]:9001", "127.0.0.1.evil.example:9000",
        ]
    )
    func hosts(_ host: String) throws {
        #expect(try status(route("GET", "/", host: host)) == 421)
        #expect(try status(route("GET", "/api/status", [Self.cookie], host: host)) == 421)
    }

    @Test("The host may be any name of loopback", arguments: ["127.0.0.1:9000", "localhost:9000", "[::1]:9000"])
    func ownHosts(_ host: String) throws {
        #expect(try status(route("GET", "/", host: host)) == 200)
    }

    @Test("Every answer has the policy and the fields that keep other sites out")
    func fields() throws {
        for (target, lines) in [("/", []), ("/x", []), ("/x", [Self.cookie])] as [(String, [String])] {
            guard case .answer(let response) = try route("GET", target, lines) else { continue }
            let text = String(buffer: try response.serialized(isHead: true))
            for field in [
                "Content-Security-Policy: default-src 'none'; script-src 'sha256-", "X-Frame-Options: DENY",
                "Referrer-Policy: no-referrer", "X-Content-Type-Options: nosniff", "Cache-Control: no-store",
                "Cross-Origin-Opener-Policy: same-origin", "Cross-Origin-Resource-Policy: same-origin",
            ] {
                #expect(text.contains("\r\n\(field)"), "\(field)")
            }
        }
    }

    @Test("The opened row of a client and the page of a client show the key of a sealed session")
    func seal() {
        let text = String(decoding: DashboardPage.own.document, as: UTF8.self)
        // A server's page has the row of each session, and a client's page its own session.
        #expect(text.matches(of: /\["sealed", (session && \()?item\.sealed_with \|\| "no"\)?\]/).count == 2)
    }

    @Test("The page is small, loads nothing, and its policy has the hashes of its style and its script")
    func page() throws {
        let page = DashboardPage.own
        #expect(page.document.count < DashboardPage.maximumBytes, "\(page.document.count) bytes")
        let text = String(decoding: page.document, as: UTF8.self)
        for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
            let parts = text.components(separatedBy: "<\(tag)>")
            #expect(parts.count == 2)
            let content = try #require(parts.last?.components(separatedBy: "</\(tag)>").first)
            let hash = Data(SHA256.hash(data: Data(content.utf8))).base64EncodedString()
            #expect(page.policy.contains("\(directive) 'sha256-\(hash)'"))
        }
        for word in ["unsafe", "*", "http"] { #expect(!page.policy.contains(word), "\(word)") }
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " onclick", "src=", "@import", "url("] {
            #expect(!text.contains(word), "\(word)")
        }
        // The names of SVG's vocabulary are no addresses to load.
        let addresses = text.components(separatedBy: "http").dropFirst().filter {
            !$0.hasPrefix("://www.w3.org/2000/svg")
        }
        #expect(addresses.isEmpty, "\(addresses)")
    }

    @Test(
        "It listens on loopback only",
        arguments: [
            ("127.0.0.1:0", true), ("[::1]:9000", true), ("0.0.0.0:0", false), ("192.0.2.1:1", false),
            ("unix:/x", false),
        ]
    )
    func loopback(_ address: String, _ isAccepted: Bool) {
        let command = try? DashboardCommand.parse(["--listen", address])
        #expect((command != nil) == isAccepted)
    }
}
