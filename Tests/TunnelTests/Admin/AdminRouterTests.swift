import HTTP1
import NIOCore
import Testing

@testable import TunnelAdmin

@Suite("Admin: routing of requests")
struct AdminRouterTests {
    private func route(_ method: String, _ target: String, isPrivate: Bool = true) throws -> AdminRouter.Route {
        let fields = try HeaderFields([("Host", "localhost")])
        return AdminRouter(isPrivate: isPrivate).route(RequestHead(method: method, target: target, fields: fields))
    }

    private func status(_ route: AdminRouter.Route) -> Int? {
        guard case .refuse(let response) = route else { return nil }
        return response.status.rawValue
    }

    @Test(
        "Metrics, health and readiness are served on each listener, by GET and HEAD",
        arguments: [("/metrics", AdminRequest.metrics), ("/healthz", .health), ("/readyz", .readiness)]
    )
    func open(_ path: String, _ request: AdminRequest) throws {
        for isPrivate in [true, false] {
            #expect(try route("GET", path, isPrivate: isPrivate) == .ask(request))
            #expect(try route("GET", path + "?x=1", isPrivate: isPrivate) == .ask(request))
            #expect(try route("HEAD", path, isPrivate: isPrivate) == .ask(request))
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
                #expect(try status(route(method, path, isPrivate: isPrivate)) == 405)
            }
        }
    }

    @Test("Status and kick are served on the private socket only")
    func operatorOnly() throws {
        #expect(try route("GET", "/status") == .ask(.status(session: nil)))
        #expect(try route("POST", "/kick?name=workshop") == .ask(.kick(name: "workshop")))
        #expect(try status(route("GET", "/status", isPrivate: false)) == 404)
        #expect(try status(route("POST", "/kick?name=workshop", isPrivate: false)) == 404)
    }

    @Test("The clients of a cluster are served on the private socket only, by GET")
    func cluster() throws {
        #expect(try route("GET", "/cluster") == .ask(.clients))
        #expect(try status(route("POST", "/cluster")) == 405)
        #expect(try status(route("GET", "/cluster", isPrivate: false)) == 404)
    }

    @Test("A status may name the session whose visitors are wanted")
    func oneSession() throws {
        #expect(try route("GET", "/status?session=7") == .ask(.status(session: 7)))
        #expect(try route("GET", "/status?x=1") == .ask(.status(session: nil)))
        for target in ["/status?session=", "/status?session=-1", "/status?session=x"] {
            #expect(try status(route("GET", target)) == 400)
        }
    }

    @Test("POST /renew on the private socket renews one client or all")
    func renewal() throws {
        #expect(try route("POST", "/renew") == .ask(.renew(name: nil)))
        #expect(try route("POST", "/renew?name=workshop") == .ask(.renew(name: "workshop")))
        for target in ["/renew?", "/renew?name=", "/renew?x=1"] { #expect(try status(route("POST", target)) == 400) }
        #expect(try status(route("GET", "/renew")) == 405)
        #expect(try status(route("POST", "/renew", isPrivate: false)) == 404)
    }

    @Test("Kick needs POST, and status needs GET")
    func methods() throws {
        let kick = try route("GET", "/kick?name=workshop")
        guard case .refuse(let response) = kick else { return #expect(Bool(false), "\(kick)") }
        #expect(response.status == .methodNotAllowed)
        #expect(response.allow == "POST")
        #expect(try status(route("POST", "/status")) == 405)
    }

    @Test(
        "A name is percent-decoded, and a query with anything but one name is refused",
        arguments: [
            ("name=a%2Fb", "a/b"), ("name=%C3%BC", "ü"), ("name=a+b", "a+b"), ("name=a%20b", "a b"), ("name=", nil),
            ("", nil), ("name=a&name=b", nil), ("x=a", nil), ("name=%", nil), ("name=%4", nil), ("name=%zz", nil),
            ("name=%FF", nil), ("name=" + String(repeating: "x", count: 257), nil),
        ] as [(String, String?)]
    )
    func names(_ query: String, _ name: String?) throws {
        let route = try route("POST", "/kick?\(query)")
        guard let name else { return #expect(status(route) == 400) }
        #expect(route == .ask(.kick(name: name)))
    }

    @Test(
        "A percent-encoded name is decoded to the same name",
        arguments: ["workshop", "a/b", "ü & 100 %", "\u{1B}[31m\n", "日本"]
    )
    func encoding(_ name: String) {
        let encoded = PercentEncoding.encode(name)
        #expect(encoded.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect(PercentEncoding.decode(encoded[...]) == name)
    }

    @Test("Other paths are answered with 404", arguments: ["/", "/metrics/", "//metrics", "/Metrics", "/status.json"])
    func otherPaths(_ path: String) throws {
        #expect(try status(route("GET", path)) == 404)
    }

    @Test(
        "P17 on loopback only requests for loopback names are answered, because a page's name may resolve to it",
        arguments: [
            ("localhost:9090", true), ("LOCALHOST", true), ("127.0.0.1:9090", true), ("[::1]:9090", true),
            ("[::1]", true),
            ("evil.example", false), ("localhost.evil.example", false), ("127.0.0.1.evil.example", false),
            ("127.1", false),
        ]
    )
    func otherNames(host: String, isAnswered: Bool) throws {
        let head = RequestHead(method: "GET", target: "/metrics", fields: try HeaderFields([("Host", host)]))
        let isTaken = AdminRouter(isPrivate: false, isLocal: true).route(head) == .ask(.metrics)
        #expect(isTaken == isAnswered)
        if !isAnswered { #expect(status(AdminRouter(isPrivate: false, isLocal: true).route(head)) == 421) }
        // A listener on other addresses may have any name, and other means restrict its clients.
        #expect(AdminRouter(isPrivate: false, isLocal: false).route(head) == .ask(.metrics))
        #expect(AdminRouter(isPrivate: true, isLocal: true).route(head) == .ask(.metrics))
    }

    @Test("P17 no answer permits another origin to read it")
    func noOtherOrigin() throws {
        for response in [AdminResponse.exposition("a 1\n"), .json([0x7B, 0x7D]), .notAllowed("GET")] {
            let text = String(buffer: try response.serialized(isHead: false))
            #expect(!text.lowercased().contains("access-control"))
            #expect(text.contains("X-Content-Type-Options: nosniff"))
        }
    }

    @Test("A request without Host, or with a target in another form, is refused")
    func malformed() {
        let router = AdminRouter(isPrivate: true)
        #expect(status(router.route(RequestHead(method: "GET", target: "/metrics"))) == 400)
        #expect(status(router.route(RequestHead(method: "OPTIONS", target: "*"))) == 400)
    }

    @Test("A response is serialised with its fields, and without a body for HEAD")
    func response() throws {
        let response = AdminResponse.text(.unavailable, "the server is stopping")
        let text =
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
            + "Content-Length: 23\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
        #expect(String(buffer: try response.serialized(isHead: true)) == text)
        #expect(String(buffer: try response.serialized(isHead: false)) == text + "the server is stopping\n")
    }
}
