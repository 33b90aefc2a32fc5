import HTTP1
import NIOCore
import NIOPosix
import NetworkAddress
import Synchronization
import TunnelAdmin
import TunnelCore

/// An ordinary web server behind the endpoint: it gets every request that is not for the tunnel, so that the host shows
/// an ordinary site.
///
/// One request for each connection: `Connection: close` is written into it, its body follows and nothing behind that, and
/// the answer comes back as it is, with back-pressure. Upgrades are not handed on. The head is our own parser's, so that what two readers could take
/// differently never reaches the backend.
public struct Backend: Sendable, Hashable, CustomStringConvertible {
    /// Its host.
    public let host: String
    /// Its port.
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

    /// The URL.
    public var description: String { "http://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Fields that end at each hop (RFC 9110 section 7.6.1).
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "upgrade", "te", "trailer", "proxy-authorization",
        "proxy-authenticate",
    ]

    /// Fields that say where a request comes from or what it is for. The backend believes them, so that a stranger's are
    /// taken off.
    private static let origins: Set<String> = [
        "forwarded", "x-real-ip", "x-client-ip", "client-ip", "x-cluster-client-ip", "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip", "x-azure-clientip", "x-azure-socketip",
        "x-appengine-user-ip", "x-envoy-external-address", "x-original-forwarded-for", "x-original-host",
        "x-original-url", "x-rewrite-url", "x-original-uri", "x-host", "x-http-host-override", "x-originating-ip",
        "x-remote-ip", "x-remote-addr", "remote-addr", "proxy-client-ip", "wl-proxy-client-ip", "x-proxyuser-ip",
        "x-real-port", "x-scheme", "x-url-scheme", "front-end-https",
        // What a CGI program takes for the environment's http_proxy.
        "proxy",
    ]

    /// Fields that Connection must not take off: the message's end, its host, what it is for, and what we write.
    private static let lasting: Set<String> = [
        "host", "content-length", "transfer-encoding", "content-type", "content-encoding", "content-range",
        "authorization", "cookie", "cache-control", "expect", "range", "origin",
    ]

    /// Why a request is not handed on.
    struct Refusal: Error, Hashable {
        let status: Int
        /// For the log.
        let reason: String

        static func malformed(_ reason: String) -> Refusal { Refusal(status: 400, reason: reason) }
    }

    /// The request as the backend gets it: without what belongs to the hop, closed after its answer, and with where it
    /// comes from.
    ///
    /// - Parameters:
    ///   - origin: the sender's address; what it says of itself is taken off.
    ///   - isSecure: whether it came by TLS.
    /// - Throws: for CONNECT, and for a request whose end, host or fields could be read in two ways (RFC 9112 section
    ///   6.3).
    func forwarded(_ head: RequestHead, origin: String, isSecure: Bool) throws(Refusal) -> RequestHead {
        guard head.method != "CONNECT" else { throw Refusal(status: 405, reason: "CONNECT is not served") }
        let target = try Self.strictly { () throws(HTTP1Error) in try self.target(head) }
        let named = Set(head.fields.list("Connection").map(Self.spelling))
        guard named.allSatisfy({ !Self.lasting.contains($0) && !Self.isOrigin($0) }) else {
            throw .malformed("Connection names a field that is not the connection's own")
        }
        return try Self.strictly { () throws(HTTP1Error) in
            var fields = HeaderFields()
            for (name, value) in head.fields {
                let spelling = Self.spelling(name)
                // A reader that takes `_` for `-` would see a second length, or another host.
                guard !Self.framing.contains(spelling) || name.lowercased() == spelling else {
                    throw HTTP1Error(.malformedFieldName)
                }
                guard !Self.hopByHop.contains(spelling), !named.contains(spelling), !Self.isOrigin(spelling) else {
                    continue
                }
                try fields.append(name, value)
            }
            if fields.first("Host") == nil { try fields.append("Host", "\(self)".replacing("http://", with: "")) }
            try fields.append("X-Forwarded-For", origin)
            try fields.append("X-Forwarded-Proto", isSecure ? "https" : "http")
            try fields.append("Connection", "close")
            return RequestHead(method: head.method, target: target, fields: fields)
        }
    }

    /// The fields that say where a request ends and whose it is.
    private static let framing: Set<String> = ["host", "content-length", "transfer-encoding"]

    /// The request's target in origin-form, in which its host stands in one place only (RFC 9112 section 3.2.2).
    private func target(_ head: RequestHead) throws(HTTP1Error) -> String {
        if head.target == "*", head.method == "OPTIONS" {
            guard try head.fields.single("Host") != nil else { throw HTTP1Error(.missingHost) }
            return head.target
        }
        // HTTP/1.0 has requests without a host.
        if head.version != .http1_1, head.fields.first("Host") == nil, head.target.hasPrefix("/") { return head.target }
        let route = try head.route()
        return route.path + (route.query.map { "?\($0)" } ?? "")
    }

    /// A field's name as programs see it that know no case, and no difference between `-`, `_` and other signs.
    private static func spelling(_ name: String) -> String {
        String(
            decoding: name.lowercased().utf8.map { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) ? byte : UInt8(ascii: "-")
            },
            as: UTF8.self
        )
    }

    private static func isOrigin(_ spelling: String) -> Bool {
        spelling.hasPrefix("x-forwarded") || origins.contains(spelling)
    }

    private static func strictly<T>(_ body: () throws(HTTP1Error) -> T) throws(Refusal) -> T {
        do {
            return try body()
        } catch {
            throw .malformed(error.description)
        }
    }
}

/// How many connections to the backend there are, over all loops.
final class BackendSlots: Sendable {
    /// One address has at most one part in so many of the places.
    static let addressPart = 4

    private let taken = Mutex<(all: Int, ofAddress: [String: Int])>((0, [:]))

    /// Takes a place; false if as many as `most` are taken, or a quarter of them by one address.
    ///
    /// - Parameter address: the address that bears the costs; nil if none does.
    func enter(_ address: String?, most: Int) -> Bool {
        taken.withLock { taken in
            guard taken.all < most else { return false }
            if let address {
                guard taken.ofAddress[address, default: 0] < max(1, most / Self.addressPart) else { return false }
                taken.ofAddress[address, default: 0] += 1
            }
            taken.all += 1
            return true
        }
    }

    /// Gives the place of a connection back.
    func leave(_ address: String?) {
        taken.withLock { taken in
            taken.all -= 1
            guard let address, let count = taken.ofAddress[address] else { return }
            taken.ofAddress[address] = count > 1 ? count - 1 : nil
        }
    }
}
