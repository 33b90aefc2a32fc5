import HTTP1
import NIOCore
import Testing

@testable import HTTPRelay

@Suite("Rules and origins of a relayed request")
struct RelayedRequestTests {
    private static func relayed(
        _ pairs: [(String, String)] = [],
        _ rules: RelayRules = RelayRules(),
        from origin: RequestOrigin = visitor,
        removesCredentials: Bool = false
    ) throws -> HeaderFields {
        let head = RequestHead(method: "GET", target: "/", fields: try HeaderFields([("Host", "a.example")] + pairs))
        let destination = try RelayedRequest.destination(of: head)
        return try RelayedRequest(
            head,
            .none,
            to: destination,
            from: origin,
            rules: rules,
            removesCredentials: removesCredentials
        ).head.fields
    }

    private static let statements = [
        "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Port", "X-Real-IP",
    ]

    @Test("A visitor's own statements about its origin are removed and written anew", arguments: statements)
    func untrusted(name: String) throws {
        let spellings = [name, name.lowercased(), name.uppercased(), name.replacing("-", with: "_")]
        for spelling in spellings {
            let fields = try Self.relayed([(spelling, "evil"), (spelling, "for=evil")])
            #expect(!fields.contains { $0.value.contains("evil") }, "\(spelling)")
            #expect(fields.values(of: "X-Forwarded-For") == ["192.0.2.1"])
        }
    }

    @Test("Every field of the list of origins is removed", arguments: FieldNames.origins.sorted())
    func origins(name: String) throws {
        #expect(
            try Self.relayed([(name, "evil"), (name.replacing("-", with: "_"), "evil")]).allSatisfy {
                $0.value != "evil"
            }
        )
    }

    @Test("H29 the statements of a trusted front are kept, and missing ones are added", arguments: statements.prefix(4))
    func trusted(name: String) throws {
        let front = RequestOrigin(address: "203.0.113.9", isSecure: true, isFromFront: true)
        let fields = try Self.relayed([(name, "kept")], from: front)
        #expect(fields.values(of: name) == ["kept"])
        let own = [
            "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example",
            "Forwarded": "for=203.0.113.9;host=a.example;proto=https",
        ]
        for (other, value) in own where other != name { #expect(fields.values(of: other) == [value]) }
        #expect(try Self.relayed([("X-Real-IP", "kept")], from: front).values(of: "X-Real-IP") == ["kept"])
    }

    @Test("A front's statements have hyphens; other spellings are a visitor's, and removed")
    func otherSpellings() throws {
        let front = RequestOrigin(address: "203.0.113.9", isSecure: true, isFromFront: true)
        let fields = try Self.relayed(
            [("X_Forwarded_For", "evil"), ("X-Forwarded-For", "kept"), ("X.Real.IP", "evil")],
            from: front
        )
        #expect(fields.values(of: "X-Forwarded-For") == ["kept"])
        #expect(!fields.contains { $0.value == "evil" })
    }

    @Test("Forwarded has quotes where its syntax needs them")
    func forwarded() throws {
        let six = RequestOrigin(address: "2001:db8::1", isSecure: true)
        let head = RequestHead(method: "GET", target: "/", fields: try HeaderFields([("Host", "[::1]:80")]))
        let destination = try RelayedRequest.destination(of: head)
        let request = try RelayedRequest(head, .none, to: destination, from: six, rules: RelayRules())
        #expect(request.head.fields.first("Forwarded") == "for=\"[2001:db8::1]\";host=\"[::1]:80\";proto=https")
        #expect(request.head.fields.first("X-Forwarded-For") == "2001:db8::1")
        #expect(request.name == nil && request.host == "[::1]:80" && request.path == "/")
    }

    @Test("host_header replaces Host, and the origin keeps the visitor's")
    func hostHeader() throws {
        var rules = RelayRules()
        rules.hostHeader = "localhost:3000"
        let fields = try Self.relayed([], rules)
        #expect(fields.values(of: "Host") == ["localhost:3000"])
        #expect(fields.first("X-Forwarded-Host") == "a.example")
    }

    @Test("set_headers replaces the visitor's fields in every spelling, and the origin's too")
    func setHeaders() throws {
        var rules = RelayRules()
        rules.setHeaders = [
            try RelayRules.Field("X-User", "alice"), try RelayRules.Field("Authorization", "Bearer t"),
            try RelayRules.Field("X-Forwarded-Proto", "https"), try RelayRules.Field("Forwarded", "for=x"),
        ]
        let fields = try Self.relayed(
            [("x-user", "evil"), ("X_User", "evil"), ("X.USER", "evil"), ("authorization", "evil"), ("X-Other", "1")],
            rules
        )
        #expect(!fields.contains { $0.value == "evil" })
        #expect(fields.values(of: "X-User") == ["alice"] && fields.values(of: "Authorization") == ["Bearer t"])
        #expect(fields.values(of: "X-Forwarded-Proto") == ["https"] && fields.values(of: "Forwarded") == ["for=x"])
        #expect(fields.values(of: "X-Forwarded-For") == ["192.0.2.1"] && fields.first("X-Other") == "1")
    }

    @Test("Connection cannot remove a field that is set")
    func connectionAndSet() throws {
        var rules = RelayRules()
        rules.setHeaders = [try RelayRules.Field("X-User", "alice")]
        #expect(try Self.relayed([("Connection", "X-User")], rules).values(of: "X-User") == ["alice"])
    }

    @Test(
        "A field that frames a message or ends at the hop cannot be set",
        arguments: [
            "Host", "content-length", "Content_Length", "Transfer-Encoding", "Connection", "Upgrade", "TE",
            "Keep-Alive",
            "Proxy-Authorization", "", "a b", "a:", "é",
        ]
    )
    func unsettable(name: String) {
        #expect(throws: HTTP1Error(.malformedFieldName)) { try RelayRules.Field(name, "x") }
    }

    @Test("H30 a value to set has no line end", arguments: ["a\r\nb: c", "a\nb", "a\0"])
    func unsettable(value: String) {
        #expect(throws: HTTP1Error(.controlCharacter)) { try RelayRules.Field("X-A", value) }
    }

    @Test("Authorization reaches the service unless it was for the relay")
    func credentials() throws {
        let pairs = [("Authorization", "Basic YTpi")]
        #expect(try Self.relayed(pairs).first("Authorization") == "Basic YTpi")
        #expect(try Self.relayed(pairs, removesCredentials: true).first("Authorization") == nil)
    }

    @Test("Trailers cannot bring a field that was set, removed by Connection, or belongs into a head")
    func trailers() throws {
        var rules = RelayRules()
        rules.setHeaders = [try RelayRules.Field("X-User", "alice")]
        let pairs = [("Host", "a.example"), ("Connection", "X-Hop"), ("Transfer-Encoding", "chunked")]
        let head = RequestHead(method: "POST", target: "/", fields: try HeaderFields(pairs))
        let destination = try RelayedRequest.destination(of: head)
        let request = try RelayedRequest(head, .chunked, to: destination, from: visitor, rules: rules)
        let trailers = try HeaderFields([
            ("X_User", "evil"), ("X-Hop", "evil"), ("X-Forwarded-Port", "evil"), ("Authorization", "evil"),
            ("X-Sum", "1"),
        ])
        #expect(request.trailers(trailers) == (try HeaderFields([("X-Sum", "1")])))
    }
}

@Suite("Beginnings of paths")
struct RelayRulesTests {
    @Test(
        "A beginning covers itself and what is below it, byte for byte",
        arguments: [
            ("", "/", true), ("", "/x/../y", true), ("", "*", true), ("/", "/x/..", true), ("/api", "/api", true),
            ("/api", "/api/", true), ("/api", "/api/x", true), ("/api", "/apis", false), ("/api", "/ap", false),
            ("/api", "/API", false), ("/api", "//api", false), ("/api", "/%61pi", false), ("/api", "/x/../api", false),
            ("/api", "*", false), ("/api/", "/api/x", true), ("/api/", "/api", false), ("/api", "/api/.../x..", true),
            ("/api", "/api/./x", true), ("/api", "/api;v=1", false),
        ]
    )
    func covers(beginning: String, path: String, isCovered: Bool) {
        var rules = RelayRules()
        rules.path = beginning
        #expect(rules.covers(path) == isCovered)
    }

    @Test(
        "H7 a path that a service could resolve to one outside is covered by no beginning",
        arguments: [
            "/api/..", "/api/../admin", "/api/x/../y", "/api/%2e%2e/admin", "/api/.%2E/admin", "/api/%2E./admin",
            "/api/..;/admin", "/api/..;a=b/admin", "/api/..%2fadmin", "/api/..%2Fadmin", "/api/x%2f..%2fadmin",
            "/api/..\\admin", "/api/x\\..\\admin", "/api/..%5cadmin", "/api/%5C..%5Cadmin", "/api/..%3Ba/admin",
        ]
    )
    func climbs(path: String) {
        var rules = RelayRules()
        rules.path = "/api"
        #expect(!rules.covers(path))
        rules.path = "/api/"
        #expect(!rules.covers(path))
    }
}
