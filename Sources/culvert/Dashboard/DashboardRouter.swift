import HTTP1
import Tunnel

/// A request of the dashboard's page to the role behind it.
enum DashboardRequest: Sendable, Hashable {
    case status(session: Int)
    case kick(name: String)
    case renew(name: String?)

    /// The request to the role's admin socket.
    var command: (method: String, target: String) {
        switch self {
        case .status(let session): ("GET", "/status?session=\(session)")
        case .kick(let name): ("POST", "/kick?name=\(PercentEncoding.encode(name))")
        case .renew(let name?): ("POST", "/renew?name=\(PercentEncoding.encode(name))")
        case .renew(nil): ("POST", "/renew")
        }
    }
}

/// Decides by a request's head what the dashboard answers. Pure, except that a secret is used up.
///
/// | path | method | needs |
/// |---|---|---|
/// | `/` | GET | |
/// | `/login` | POST | our field, and the secret |
/// | `/api/status?session=NUMBER` | GET | the cookie |
/// | `/api/kick?name=NAME`, `/api/renew`, `/api/renew?name=NAME` | POST | the cookie and our field |
/// | anything else | | the cookie, for 404 in place of 403 |
///
/// Each request must name the host by a loopback address or `localhost`, with the dashboard's port. So a page whose name
/// was made to resolve to loopback (DNS rebinding) reads nothing. A page of another origin cannot send our field without
/// asking first (CORS), and gets no permission.
struct DashboardRouter: Sendable {
    /// The field that every POST must have.
    static let field = "X-Culvert-Dashboard"
    /// The field with the secret.
    static let secretField = "X-Culvert-Secret"

    let port: UInt16
    let access: DashboardAccess
    var page = DashboardPage.own

    enum Route: Sendable, Hashable {
        /// A request that the role answers.
        case ask(DashboardRequest)
        case answer(AdminResponse)
    }

    func route(_ head: RequestHead) -> Route {
        switch decide(head) {
        case .ask(let request): .ask(request)
        case .answer(let response): .answer(secured(response))
        }
    }

    private func decide(_ head: RequestHead) -> Route {
        let target: RequestTarget
        do throws(HTTP1Error) {
            target = try head.route()
        } catch {
            return .answer(AdminResponse(error))
        }
        guard ["127.0.0.1", "localhost", "[::1]"].contains(where: { target.authority == "\($0):\(port)" }) else {
            return .answer(
                .text(.misdirected, "the request must name this host by its loopback address or as localhost")
            )
        }
        if target.path == "/" {
            guard head.method == "GET" else { return .answer(.notAllowed("GET")) }
            return .answer(AdminResponse(.ok, contentType: "text/html; charset=utf-8", body: page.document))
        }
        let hasField = head.fields.first(Self.field) != nil
        if target.path == "/login", head.method == "POST", hasField {
            guard let cookie = access.enter(head.fields.first(Self.secretField)) else { return forbidden }
            var response = AdminResponse.text(.ok, "welcome")
            response.fields["Set-Cookie"] = cookie
            return .answer(response)
        }
        guard access.admits(head.fields.list("Cookie")) else { return forbidden }
        return command(target, head, hasField: hasField)
    }

    private func command(_ target: RequestTarget, _ head: RequestHead, hasField: Bool) -> Route {
        let name = AdminRouter.parameter("name", target.query)
        switch target.path {
        case "/api/status":
            guard head.method == "GET" else { return .answer(.notAllowed("GET")) }
            let session = AdminRouter.parameter("session", target.query).flatMap { Int($0) } ?? 0
            return .ask(.status(session: max(0, session)))
        case "/api/kick", "/api/renew":
            guard head.method == "POST" else { return .answer(.notAllowed("POST")) }
            guard hasField else { return forbidden }
            if target.path == "/api/renew", target.query == nil { return .ask(.renew(name: nil)) }
            guard let name, !name.isEmpty else { return .answer(.text(.badRequest, "expected ?name=NAME")) }
            return .ask(target.path == "/api/kick" ? .kick(name: name) : .renew(name: name))
        default:
            return .answer(.text(.notFound, "not found"))
        }
    }

    private var forbidden: Route {
        .answer(.text(.forbidden, "this needs the address that culvert dashboard has printed"))
    }

    /// The response with the fields that all responses have.
    func secured(_ response: AdminResponse) -> AdminResponse {
        var response = response
        let fields = [
            "Content-Security-Policy": page.policy, "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
        ]
        response.fields.merge(fields) { own, _ in own }
        return response
    }
}
