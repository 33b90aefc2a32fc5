/// Why a session could not be had: which hop, what it answered, and what the person who reads it can do.
public struct DialError: Error, Sendable, CustomStringConvertible {
    /// The steps between here and a session.
    public enum Hop: String, Sendable, CaseIterable {
        /// Fetching or running the script that names the proxies.
        case proxyScript = "proxy script"
        /// Resolving a name.
        case lookup = "name lookup"
        /// The TCP connection to the proxy or the server.
        case connect = "connect"
        /// TLS with the proxy.
        case proxyTLS = "TLS to the proxy"
        /// CONNECT at the proxy, or what SOCKS has for it.
        case proxy = "proxy"
        /// TLS with the server.
        case tls = "TLS"
        /// The WebSocket handshake.
        case upgrade = "upgrade"
        /// Authentication.
        case session = "session"
    }

    /// What the error means for the client's run.
    public enum Disposition: Sendable, Hashable {
        /// Try again.
        case retry
        /// It ends the client: somebody has said no, and would say it again.
        case refused
        /// It ends the client as refused, unless a session has worked in this run.
        case refusedAtFirst
        /// It ends the client as something that is not ours, unless a session has worked in this run.
        case notOursAtFirst
        /// It ends the client: the peer speaks another protocol.
        case notOurs
        /// It ends the client: what it was told cannot work.
        case configuration
    }

    /// Where it happened.
    public var hop: Hop
    /// What was dialled.
    public var endpoint: String
    /// The proxy on the way, without its password; nil for none.
    public var proxy: String?
    /// What the hop answered or did.
    public var answer: String
    /// One thing to do about it; empty where there is nothing.
    public var remedy: String
    /// What it means for the run.
    public var disposition: Disposition
    /// Seconds after which the other side wants to be asked again.
    public var retryAfter: Int?
    /// Why the next try is that late, for the log; nil if the wait needs no explanation.
    public var waitReason: String?
    /// Whether a proxy has refused a password: trying again may lock the account.
    public var isPasswordRefusal = false
    /// Whether the other side has answered in a way that its other addresses would repeat.
    var isFinal = false

    /// One line: endpoint, way, hop, answer, remedy.
    public var description: String {
        let way = proxy.map { " through proxy \($0)" } ?? ""
        let remedy = remedy.isEmpty ? "" : "; \(remedy)"
        return "\(endpoint)\(way): \(hop.rawValue): \(answer)\(remedy)"
    }
}
