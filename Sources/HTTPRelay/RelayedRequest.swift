import HTTP1
import NIOCore

/// A visitor's request, checked and rewritten for the service.
///
/// The service gets origin-form, one Host, one framing, and no field that ends at the hop. Culvert's own parser has read
/// the head and writes it anew, so a head that two parsers could read differently reaches no service.
public struct RelayedRequest: Sendable {
    /// The request for the service.
    public let head: RequestHead
    /// The end of its body.
    public let framing: BodyFraming
    /// The host that the visitor has named.
    public let name: PublicName?
    /// The Host field as the visitor has sent it.
    public let host: String
    /// The path without the query.
    public let path: String
    /// The protocol that the visitor asks to switch to; nil for none.
    public let upgrade: String?

    /// A reason not to relay a request, with the status of the answer.
    public struct Refusal: Error, Sendable, Hashable {
        /// 400, 405, 417, 421, 431 or 505.
        public let status: Int
        /// The reason for the log, without the visitor's bytes.
        public let reason: String

        /// A refusal.
        public init(status: Int, reason: String) {
            (self.status, self.reason) = (status, reason)
        }
    }

    /// The destination of a request, before its rules are known.
    public struct Destination: Sendable {
        /// The Host field.
        public let host: String
        /// The name in it; nil for an address.
        public let name: PublicName?
        /// The path without the query.
        public let path: String
        /// The origin-form of the target.
        public let target: String
    }

    /// The destination of a request: its Host, which an absolute-form target must repeat.
    ///
    /// - Throws: a refusal of CONNECT, and of a Host or a target that is missing, repeated or malformed.
    public static func destination(of head: RequestHead) throws(Refusal) -> Destination {
        guard head.method != "CONNECT" else { throw Refusal(status: 405, reason: "CONNECT is not served") }
        return try strictly { () throws(HTTP1Error) in
            if head.target == "*", head.method == "OPTIONS" {
                guard let host = try head.fields.single("Host") else { throw HTTP1Error(.missingHost) }
                return Destination(host: host, name: PublicName(authority: host), path: "*", target: "*")
            }
            let route = try head.route()
            return Destination(
                host: route.authority,
                name: PublicName(authority: route.authority),
                path: route.path,
                target: route.path + (route.query.map { "?\($0)" } ?? "")
            )
        }
    }

    /// Rewrites a request.
    ///
    /// - Parameters:
    ///   - destination: that of `head`.
    ///   - removesCredentials: whether Authorization was for the relay.
    /// - Throws: a refusal of ambiguous fields (RFC 9112 section 6.3) and of an upgrade with a body.
    public init(
        _ head: RequestHead,
        _ framing: BodyFraming,
        to destination: Destination,
        from origin: RequestOrigin,
        rules: RelayRules,
        removesCredentials: Bool = false
    ) throws(Refusal) {
        let options = Set(head.fields.list("Connection").map(FieldNames.spelling))
        guard options.isDisjoint(with: FieldNames.lasting), !options.contains(where: FieldNames.isOrigin) else {
            throw Refusal(status: 400, reason: "Connection names a field that is not the connection's own")
        }
        let upgrade = Self.upgrade(head, options)
        guard upgrade == nil || framing == .none || framing == .length(0) else {
            throw Refusal(status: 400, reason: "a request for another protocol has a body")
        }
        for expectation in head.fields.list("Expect") where expectation.lowercased() != "100-continue" {
            throw Refusal(status: 417, reason: "an expectation other than 100-continue")
        }
        let takesTrailers = head.fields.contains("TE", token: "trailers")
        self.head = try Self.strictly { () throws(HTTP1Error) in
            var fields = HeaderFields()
            try fields.append("Host", rules.hostHeader ?? destination.host)
            let replaced = Set(rules.setHeaders.map { FieldNames.spelling($0.name) })
            for (name, value) in head.fields {
                let spelling = FieldNames.spelling(name)
                let isFraming = FieldNames.framing.contains(spelling)
                // A parser that reads `_` as `-` would see a second length, or another host.
                guard !isFraming || name.lowercased() == spelling else { throw HTTP1Error(.malformedFieldName) }
                guard !isFraming, !FieldNames.hopByHop.contains(spelling), !options.contains(spelling),
                    !replaced.contains(spelling), origin.isFromFront || !FieldNames.isOrigin(spelling),
                    !(removesCredentials && spelling == "authorization"),
                    !(spelling == "expect" && head.version < .http1_1)
                else { continue }
                try fields.append(name, value)
            }
            switch framing {
            case .length(let count): try fields.append("Content-Length", "\(count)")
            case .chunked: try fields.append("Transfer-Encoding", "chunked")
            case .none, .untilClose: break
            }
            try origin.write(host: destination.host, to: &fields)
            for field in rules.setHeaders { try fields.append(field.name, field.value) }
            if takesTrailers { try fields.append("TE", "trailers") }
            var own = takesTrailers ? ["TE"] : []
            if let upgrade {
                try fields.append("Upgrade", upgrade)
                own.append("Upgrade")
            }
            if !own.isEmpty { try fields.append("Connection", own.joined(separator: ", ")) }
            return RequestHead(method: head.method, target: destination.target, fields: fields)
        }
        (self.framing, self.upgrade) = (framing, upgrade)
        (host, name, path) = (destination.host, destination.name, destination.path)
    }

    /// The protocol that a request asks to switch to. HTTP/2 without TLS is none: behind it, requests would escape the relay.
    private static func upgrade(_ head: RequestHead, _ options: Set<String>) -> String? {
        guard options.contains("upgrade"), head.version >= .http1_1 else { return nil }
        let protocols = head.fields.list("Upgrade")
        guard protocols.count == 1, let text = protocols.first else { return nil }
        let name = text.lowercased().prefix { $0 != "/" }
        return ["h2c", "h2", "http", "tls"].contains(String(name)) ? nil : text
    }

    static func strictly<T>(_ body: () throws(HTTP1Error) -> T) throws(Refusal) -> T {
        do {
            return try body()
        } catch {
            throw Refusal(status: error.status, reason: error.description)
        }
    }
}
