import Mux

/// The reason why a dial led to no session: the hop, its answer, and one remedy.
public struct DialError: Error, Sendable, CustomStringConvertible {
    /// The steps from the client to a session.
    public enum Hop: String, Sendable, CaseIterable {
        /// Fetching or running the script that names the proxies.
        case proxyScript = "proxy script"
        /// The lookup of a name.
        case lookup = "name lookup"
        /// The TCP connection to the proxy or the server.
        case connect = "connect"
        /// TLS with the proxy.
        case proxyTLS = "TLS to the proxy"
        /// CONNECT at the proxy, or the exchange by SOCKS.
        case proxy = "proxy"
        /// TLS with the server.
        case tls = "TLS"
        /// The WebSocket handshake.
        case upgrade = "upgrade"
        /// Authentication.
        case session = "session"
    }

    /// The consequence of an error for the client's run.
    public enum Disposition: Sendable, Hashable {
        /// The client dials again.
        case retry
        /// The client ends: a peer refused it, and would refuse it again.
        case refused
        /// The client ends as refused, unless a session has worked in this run.
        case refusedAtFirst
        /// The client ends because the peer is not a Culvert server, unless a session has worked in this run.
        case notOursAtFirst
        /// The client ends: the peer speaks another protocol.
        case notOurs
        /// The client ends: its configuration cannot work.
        case configuration
    }

    /// The hop that failed.
    public var hop: Hop
    /// The dialled endpoint.
    public var endpoint: String
    /// The proxy on the way, without its password; nil for none.
    public var proxy: String?
    /// The answer of the hop, or the event that ended it.
    public var answer: String
    /// One remedy; empty if there is none.
    public var remedy: String
    /// The consequence for the client's run.
    public var disposition: Disposition
    /// The pause that the peer asks for, in seconds.
    public var retryAfter: Int?
    /// The reason for a long pause before the next try, for the log; nil if it needs no explanation.
    public var waitReason: String?
    /// Whether a proxy has refused a password, so that another try may lock the account.
    public var isPasswordRefusal = false
    /// Whether the server has another key than it should, so that something may play it.
    public var isKeyChange = false
    /// Why the server has refused the client; nil if it has not.
    var refusal: RefusalCode?
    /// Whether the server that answered has another session of this client.
    var isServerInUse = false
    /// Whether the peer has given an answer that its other addresses would repeat.
    var isFinal = false

    /// One line: endpoint, proxy, hop, answer, remedy.
    public var description: String {
        let way = proxy.map { " through proxy \($0)" } ?? ""
        let remedy = remedy.isEmpty ? "" : "; \(remedy)"
        return "\(endpoint)\(way): \(hop.rawValue): \(answer)\(remedy)"
    }

    /// Whether another address of the same name may lead further. False after an answer that each address would give:
    /// a proxy's, and a server's refusal.
    var mayDifferElsewhere: Bool {
        guard !isFinal, disposition != .refused, disposition != .configuration else { return false }
        switch hop {
        case .proxyScript, .lookup: return false
        case .connect, .proxyTLS, .proxy: return true
        // The address that was dialled is the proxy's, and the server behind it has others.
        case .tls, .upgrade, .session: return proxy == nil
        }
    }

    /// The more informative of two errors: one that may pass counts before one that ends the client, and then the
    /// farther hop.
    func moreInformative(than other: DialError?) -> DialError {
        guard let other else { return self }
        let hops = Hop.allCases
        let (own, others) = (hops.firstIndex(of: hop) ?? 0, hops.firstIndex(of: other.hop) ?? 0)
        if (disposition == .retry) != (other.disposition == .retry) { return disposition == .retry ? self : other }
        return own > others ? self : other
    }
}
