import HTTP1
import HTTPRelay
import NIOCore
import NIOPosix
import NetworkAddress
import TunnelAdmin
import TunnelCore

/// A web server behind the endpoint that gets every request which is not for the tunnel. The host then shows a web site.
///
/// Each connection carries one request, with `Connection: close`. Its body follows, and bytes after the body are dropped.
/// The answer returns unchanged, with back-pressure. Upgrades are not forwarded.
///
/// Culvert's own parser reads the head and writes it anew. A head that two parsers could read differently never reaches
/// the backend.
public struct Backend: Sendable, Hashable, CustomStringConvertible {
    /// The backend's host.
    public let host: String
    /// The backend's port.
    public let port: Int

    /// Reads `http://HOST[:PORT]`; nil for anything else.
    public init?(_ text: String) {
        guard text.hasPrefix("http://") else { return nil }
        let authority = text.dropFirst(7)
        guard let address = HostPort(authority.hasSuffix("/") ? authority.dropLast() : authority, defaultPort: 80)
        else {
            return nil
        }
        (host, port) = (address.host, Int(address.port))
    }

    /// The backend's URL.
    public var description: String { "http://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// A refusal to forward a request.
    struct Refusal: Error, Hashable {
        let status: Int
        /// The reason for the log.
        let reason: String

        static func malformed(_ reason: String) -> Refusal { Refusal(status: 400, reason: reason) }
    }

    /// The request for the backend: without hop-by-hop fields, with `Connection: close`, and with its origin.
    ///
    /// - Parameters:
    ///   - origin: the sender's address, which replaces the sender's own fields.
    ///   - isSecure: whether the request arrived over TLS.
    /// - Throws: a refusal of CONNECT, or of a request whose end, host or fields are ambiguous (RFC 9112 section 6.3).
    func forwarded(_ head: RequestHead, origin: String, isSecure: Bool) throws(Refusal) -> RequestHead {
        guard head.method != "CONNECT" else { throw Refusal(status: 405, reason: "CONNECT is not served") }
        let target = try Self.strictly { () throws(HTTP1Error) in try self.target(head) }
        let named = Set(head.fields.list("Connection").map(FieldNames.spelling))
        guard named.allSatisfy({ !FieldNames.lasting.contains($0) && !FieldNames.isOrigin($0) }) else {
            throw .malformed("Connection names a field that is not the connection's own")
        }
        return try Self.strictly { () throws(HTTP1Error) in
            var fields = HeaderFields()
            for (name, value) in head.fields {
                let spelling = FieldNames.spelling(name)
                // A parser that reads `_` as `-` would see a second length, or another host.
                guard !FieldNames.framing.contains(spelling) || name.lowercased() == spelling else {
                    throw HTTP1Error(.malformedFieldName)
                }
                // The body follows unchanged, and without its trailer fields.
                let isFraming = spelling == "transfer-encoding"
                guard isFraming || !FieldNames.hopByHop.contains(spelling), !named.contains(spelling),
                    !FieldNames.isOrigin(spelling), spelling != "trailer"
                else { continue }
                try fields.append(name, value)
            }
            if fields.first("Host") == nil { try fields.append("Host", "\(self)".replacing("http://", with: "")) }
            try fields.append("X-Forwarded-For", origin)
            try fields.append("X-Forwarded-Proto", isSecure ? "https" : "http")
            try fields.append("Connection", "close")
            return RequestHead(method: head.method, target: target, fields: fields)
        }
    }

    /// The request target in origin-form, so that only the field Host names the host (RFC 9112 section 3.2.2).
    private func target(_ head: RequestHead) throws(HTTP1Error) -> String {
        if head.target == "*", head.method == "OPTIONS" {
            guard try head.fields.single("Host") != nil else { throw HTTP1Error(.missingHost) }
            return head.target
        }
        // A request of HTTP/1.0 may have no host.
        if head.version != .http1_1, head.fields.first("Host") == nil, head.target.hasPrefix("/") { return head.target }
        let route = try head.route()
        return route.path + (route.query.map { "?\($0)" } ?? "")
    }

    private static func strictly<T>(_ body: () throws(HTTP1Error) -> T) throws(Refusal) -> T {
        do {
            return try body()
        } catch {
            throw .malformed(error.description)
        }
    }
}
