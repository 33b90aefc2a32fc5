import HTTP1
import NIOCore
import NIOPosix
import ProxyConnect
import Synchronization

/// An ordinary web server behind the endpoint: it gets every request that is not for the tunnel, so that the host shows
/// an ordinary site.
///
/// One request for each connection: `Connection: close` is written into it, and what follows goes both ways as it comes,
/// with back-pressure. Upgrades are not handed on. The head is our own parser's, so that what two readers could take
/// differently never reaches the backend.
public struct Backend: Sendable, Hashable, CustomStringConvertible {
    /// Its host.
    public let host: String
    /// Its port.
    public let port: Int

    /// Reads `http://HOST[:PORT]`; nil for anything else.
    public init?(_ text: String) {
        guard text.hasPrefix("http://"), let url = try? ProxyURL(text), url.credentials == nil else { return nil }
        (host, port) = (url.host, url.port)
    }

    /// The URL.
    public var description: String { "http://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Fields that end at each hop (RFC 9110 section 7.6.1).
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "upgrade", "te", "trailer", "proxy-authorization",
    ]

    /// The request as the backend gets it: without what belongs to the hop, closed after its answer, and with where it
    /// comes from.
    ///
    /// - Parameters:
    ///   - origin: the sender's address; what it says of itself is taken off.
    ///   - isSecure: whether it came by TLS.
    /// - Returns: nil for a request whose end or whose host could be read in two ways (RFC 9112 section 6.3).
    static func forwarded(_ head: RequestHead, origin: String, isSecure: Bool) -> RequestHead? {
        guard isUnambiguous(head) else { return nil }
        let named = Set(head.fields.list("Connection").map { $0.lowercased() })
        let own: Set<String> = ["x-forwarded-for", "x-forwarded-proto", "forwarded"]
        var fields = HeaderFields()
        do throws(HTTP1Error) {
            for (name, value) in head.fields {
                let lowered = name.lowercased()
                guard !hopByHop.contains(lowered), !named.contains(lowered), !own.contains(lowered) else { continue }
                try fields.append(name, value)
            }
            try fields.append("X-Forwarded-For", origin)
            try fields.append("X-Forwarded-Proto", isSecure ? "https" : "http")
            try fields.append("Connection", "close")
        } catch {
            return nil
        }
        return RequestHead(method: head.method, target: head.target, fields: fields)
    }

    private static func isUnambiguous(_ head: RequestHead) -> Bool {
        let hosts = head.fields.values(of: "Host")
        let lengths = head.fields.values(of: "Content-Length")
        let codings = head.fields.values(of: "Transfer-Encoding")
        guard hosts.count <= 1, hosts.count == 1 || head.version != .http1_1 else { return false }
        guard lengths.count <= 1, codings.count <= 1, lengths.isEmpty || codings.isEmpty else { return false }
        guard lengths.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }) else { return false }
        return codings.allSatisfy { $0.lowercased() == "chunked" && head.version == .http1_1 }
    }
}

/// How many connections to the backend there are, over all loops.
final class BackendPlaces: Sendable {
    private let taken = Atomic(0)

    /// Takes a place; false where as many as `most` are taken.
    func enter(most: Int) -> Bool {
        let before = taken.wrappingAdd(1, ordering: .relaxed).oldValue
        guard before < most else {
            leave()
            return false
        }
        return true
    }

    func leave() {
        taken.wrappingSubtract(1, ordering: .relaxed)
    }
}
