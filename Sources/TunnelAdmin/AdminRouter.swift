import HTTP1
import NetworkAddress

/// A request of the operator or of the operator's programs.
package enum AdminRequest: Sendable, Hashable {
    /// All metrics, as text.
    case metrics
    /// Whether the event loops run.
    case health
    /// Whether the role is ready.
    case readiness
    /// The role's state, as JSON. With a number, a server leaves out the visitors and endings of all other sessions.
    case status(session: Int?)
    /// The clients of all servers of the cluster, as JSON.
    case clients
    /// Ends the sessions of a client.
    case kick(name: String)
    /// Asks one client or all clients for new carriers.
    case renew(name: String?)
    /// Reads the configuration again.
    case reload
}

/// Decides by a request's head what it asks for. Pure.
///
/// | path | methods | where |
/// |---|---|---|
/// | `/metrics`, `/healthz`, `/readyz` | GET, HEAD | everywhere |
/// | `/status`, `/status?session=NUMBER` | GET, HEAD | unix sockets |
/// | `/cluster` | GET, HEAD | unix sockets |
/// | `/kick?name=NAME` | POST | unix sockets |
/// | `/renew`, `/renew?name=NAME` | POST | unix sockets |
/// | `/reload` | POST | unix sockets |
///
/// Only a socket file's mode can tell the operator from other users. A TCP port, also on loopback, is open to every user of
/// the machine and to every page in their browsers. So it reveals no names and changes nothing.
///
/// On loopback, the request must name the host by an address or as `localhost`. A web page whose name was made to resolve
/// to loopback (DNS rebinding) therefore reads nothing.
package struct AdminRouter: Sendable {
    /// The longest name in a request. It is longer than both halves of a name together.
    package static let longestName = 256

    /// Whether the operator alone can connect.
    package let isPrivate: Bool
    /// Whether only this machine can connect.
    package var isLocal = true

    package enum Route: Sendable, Hashable {
        /// A request to answer.
        case ask(AdminRequest)
        /// An answer that refuses the request.
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
            return .refuse(.text(.misdirected, "the request must name this host by its address or as localhost"))
        }
        switch target.path {
        case "/metrics": return read(.metrics, head)
        case "/healthz": return read(.health, head)
        case "/readyz": return read(.readiness, head)
        case "/status" where isPrivate:
            guard let text = Self.parameter("session", target.query) else { return read(.status(session: nil), head) }
            guard let number = Int(text), number >= 0 else {
                return .refuse(.text(.badRequest, "expected /status or /status?session=NUMBER"))
            }
            return read(.status(session: number), head)
        case "/cluster" where isPrivate: return read(.clients, head)
        case "/kick" where isPrivate:
            guard head.method == "POST" else { return .refuse(.notAllowed("POST")) }
            guard let name = Self.name(target.query), !name.isEmpty, name.utf8.count <= Self.longestName else {
                return .refuse(.text(.badRequest, "expected /kick?name=NAME"))
            }
            return .ask(.kick(name: name))
        case "/renew" where isPrivate:
            guard head.method == "POST" else { return .refuse(.notAllowed("POST")) }
            guard target.query != nil else { return .ask(.renew(name: nil)) }
            guard let name = Self.name(target.query), !name.isEmpty, name.utf8.count <= Self.longestName else {
                return .refuse(.text(.badRequest, "expected /renew or /renew?name=NAME"))
            }
            return .ask(.renew(name: name))
        case "/reload" where isPrivate:
            return head.method == "POST" ? .ask(.reload) : .refuse(.notAllowed("POST"))
        default: return .refuse(.text(.notFound, "not found"))
        }
    }

    private static func isOwnName(_ authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host.lowercased() == "localhost" || IPAddress(String(host)) != nil
    }

    private func read(_ request: AdminRequest, _ head: RequestHead) -> Route {
        switch head.method {
        case "GET", "HEAD": .ask(request)
        default: .refuse(.notAllowed("GET, HEAD"))
        }
    }

    private static func name(_ query: String?) -> String? { parameter("name", query) }

    /// The value of the only parameter; nil if the query has anything else.
    package static func parameter(_ name: String, _ query: String?) -> String? {
        guard let query, query.hasPrefix("\(name)="), !query.contains("&") else { return nil }
        return PercentEncoding.decode(query.dropFirst(name.count + 1))
    }
}
