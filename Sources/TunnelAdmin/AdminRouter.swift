import HTTP1
import NetworkAddress

/// What the operator, or a program of the operator's, may ask.
package enum AdminRequest: Sendable, Hashable {
    /// All metrics, as text.
    case metrics
    /// Whether the process turns its loops.
    case health
    /// Whether the role does what it is there for.
    case readiness
    /// Everything that is worth knowing, as JSON.
    case status
    /// End the sessions of a client.
    case kick(name: String)
    /// Ask a client, or all, for new carriers.
    case renew(name: String?)
}

/// Decides what a request asks, by its head alone; pure.
///
/// | path | methods | where |
/// |---|---|---|
/// | `/metrics`, `/healthz`, `/readyz` | GET, HEAD | everywhere |
/// | `/status` | GET, HEAD | unix sockets |
/// | `/kick?name=NAME` | POST | unix sockets |
/// | `/renew`, `/renew?name=NAME` | POST | unix sockets |
///
/// Only the file's mode can tell the operator from others. A TCP port, on loopback too, is open to every user of the
/// machine and to every page in their browsers, so it names nobody and changes nothing. On loopback it answers only where
/// it is called by an address or `localhost`: a page whose own name was made to point here (DNS rebinding) reads nothing.
package struct AdminRouter: Sendable {
    /// The longest name that is looked for: the longest of both halves, and more.
    package static let longestName = 256

    /// Whether the operator alone can connect.
    package let isPrivate: Bool
    /// Whether only this machine can connect.
    package var isLocal = true

    package enum Route: Sendable, Hashable {
        /// To be answered; without a body where the method is HEAD.
        case ask(AdminRequest, isHead: Bool)
        /// Answered already.
        case refuse(AdminResponse)
    }

    package func route(_ head: RequestHead) -> Route {
        let target: RequestTarget
        do throws(HTTP1Error) {
            target = try head.route()
        } catch {
            return .refuse(AdminResponse(error))
        }
        guard isPrivate || !isLocal || Self.isOwnName(target.authority) else {
            return .refuse(.text(.misdirected, "call me by my address or localhost"))
        }
        switch target.path {
        case "/metrics": return read(.metrics, head)
        case "/healthz": return read(.health, head)
        case "/readyz": return read(.readiness, head)
        case "/status" where isPrivate: return read(.status, head)
        case "/kick" where isPrivate:
            guard head.method == "POST" else { return .refuse(.notAllowed("POST")) }
            guard let name = Self.name(target.query), !name.isEmpty, name.utf8.count <= Self.longestName else {
                return .refuse(.text(.badRequest, "expected /kick?name=NAME"))
            }
            return .ask(.kick(name: name), isHead: false)
        case "/renew" where isPrivate:
            guard head.method == "POST" else { return .refuse(.notAllowed("POST")) }
            guard target.query != nil else { return .ask(.renew(name: nil), isHead: false) }
            guard let name = Self.name(target.query), !name.isEmpty, name.utf8.count <= Self.longestName else {
                return .refuse(.text(.badRequest, "expected /renew or /renew?name=NAME"))
            }
            return .ask(.renew(name: name), isHead: false)
        default: return .refuse(.text(.notFound, "not found"))
        }
    }

    private static func isOwnName(_ authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host.lowercased() == "localhost" || IPAddress(String(host)) != nil
    }

    private func read(_ request: AdminRequest, _ head: RequestHead) -> Route {
        switch head.method {
        case "GET": .ask(request, isHead: false)
        case "HEAD": .ask(request, isHead: true)
        default: .refuse(.notAllowed("GET, HEAD"))
        }
    }

    /// The one parameter; anything beside it is an error.
    private static func name(_ query: String?) -> String? {
        guard let query, query.hasPrefix("name="), !query.contains("&") else { return nil }
        return PercentEncoding.decode(query.dropFirst("name=".count))
    }
}
