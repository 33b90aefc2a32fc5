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

    /// Spellings of fields that the service gets neither in the head nor as trailers.
    private let withheld: Set<String>

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

    /// Methods that are not relayed: TRACE returns the fields that the service gets, with those that its owner has set.
    private static let unserved: Set<String> = ["CONNECT", "TRACE", "TRACK"]

    /// The destination of a request: its Host, which an absolute-form target must repeat.
    ///
    /// - Throws: a refusal of CONNECT and TRACE, of a method in lower case, and of a Host or a target that is missing,
    ///   repeated or malformed.
    public static func destination(of head: RequestHead) throws(Refusal) -> Destination {
        guard !unserved.contains(head.method.uppercased()) else {
            throw Refusal(status: 405, reason: "CONNECT and TRACE are not served")
        }
        // A service that ignores case would send no body for `head`, and the relay would wait for one.
        guard head.method == head.method.uppercased() else {
            throw Refusal(status: 400, reason: "a method in lower case")
        }
        return try strictly { () throws(HTTP1Error) in
            if head.target == "*", head.method == "OPTIONS" {
                var checked = head
                checked.target = "/"
                let host = try checked.route().authority
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
    /// - Throws: a refusal of ambiguous fields (RFC 9112 section 6.3) and of an upgrade with a body. The visitor's
    ///   connection should end then.
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
        let replaced = Set(rules.setHeaders.map { FieldNames.spelling($0.name) })
        self.head = try Self.strictly { () throws(HTTP1Error) in
            // H12: recipients differ in which of two they take.
            for name in Self.once { _ = try head.fields.single(name) }
            for (name, _) in head.fields {
                // A parser that reads `_` as `-` would see a second length, or another host.
                let kind = FieldKind(name)
                guard !kind.contains(.framing) || kind.contains(.isSpelledOut) else {
                    throw HTTP1Error(.malformedFieldName)
                }
            }
            var fields = HeaderFields()
            try fields.append("Host", rules.hostHeader ?? destination.host)
            fields.append(
                contentsOf: head.fields.only { name, _ in
                    let kind = FieldKind(name)
                    guard kind.isDisjoint(with: [.framing, .hopByHop]) else { return false }
                    // A front writes its statements with hyphens. Other spellings are a visitor's, which it has passed on.
                    let isStatement = origin.isFromFront && kind.contains(.isSpelledOut)
                    guard isStatement || !kind.contains(.origin),
                        !(removesCredentials && kind.contains(.credentials)),
                        !(kind.contains(.expectation) && head.version < .http1_1)
                    else { return false }
                    guard !options.isEmpty || !replaced.isEmpty else { return true }
                    let spelling = FieldNames.spelling(name)
                    return !options.contains(spelling) && !replaced.contains(spelling)
                }
            )
            switch framing {
            case .length(let count): try fields.append("Content-Length", "\(count)")
            case .chunked: try fields.append("Transfer-Encoding", "chunked")
            case .none, .untilClose: break
            }
            try origin.write(host: destination.host, to: &fields, except: replaced)
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
        withheld = options.union(replaced)
        (host, name, path) = (destination.host, destination.name, destination.path)
    }

    /// The trailer fields of the request that may be passed on. Some programs add trailers to the head, so those that were
    /// set or removed there are none.
    public func trailers(_ trailers: HeaderFields) -> HeaderFields {
        trailers.only { name, _ in
            let spelling = FieldNames.spelling(name)
            return FieldNames.mayTrail(spelling) && !withheld.contains(spelling)
        }
    }

    /// Fields that may come once.
    private static let once = ["Authorization", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]

    /// The protocol that a request asks to switch to, a token with an optional version. HTTP and TLS are none: behind them,
    /// requests would escape the relay.
    private static func upgrade(_ head: RequestHead, _ options: Set<String>) -> String? {
        guard options.contains("upgrade"), head.version >= .http1_1 else { return nil }
        let protocols = head.fields.list("Upgrade")
        guard protocols.count == 1, let text = protocols.first else { return nil }
        let parts = text.lowercased().split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        // A field's name has the same syntax.
        guard let name = parts.first, (try? HeaderFields(parts.map { (String($0), "") })) != nil,
            !name.hasPrefix("h2"), !name.hasPrefix("http"), name != "tls"
        else { return nil }
        return text
    }

    static func strictly<T>(_ body: () throws(HTTP1Error) -> T) throws(Refusal) -> T {
        do {
            return try body()
        } catch {
            throw Refusal(status: error.status, reason: error.description)
        }
    }
}
