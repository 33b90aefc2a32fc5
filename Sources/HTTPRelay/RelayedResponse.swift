import HTTP1

/// A service's answer, rewritten for the visitor.
public struct RelayedResponse: Sendable {
    /// The answer for the visitor, without Connection.
    public let head: ResponseHead
    /// The end of its body towards the visitor.
    public let framing: BodyFraming
    /// Whether the visitor's connection ends with the body.
    public var endsConnection: Bool { framing == .untilClose }

    /// Rewrites a final answer.
    ///
    /// A body that ends with the service's connection is sent in chunks, so that the visitor can tell a whole one from a
    /// part of one.
    ///
    /// - Parameters:
    ///   - framing: the end of the body from the service.
    ///   - version: the visitor's version. HTTP/1.0 has no chunks.
    public init(_ head: ResponseHead, _ framing: BodyFraming, to method: String, _ version: HTTPVersion) {
        var fields = Self.fields(of: head)
        switch framing {
        case .none:
            self.framing = .none
            // The length of a body that is not sent, as in an answer to HEAD (RFC 9110, section 8.6).
            if head.status != 204, head.fields.first("Transfer-Encoding") == nil, let length = Self.length(of: head) {
                try? fields.append("Content-Length", length)
            }
        case .length(let count):
            try? fields.append("Content-Length", "\(count)")
            self.framing = framing
        case .chunked, .untilClose:
            if version >= .http1_1 {
                // HTTP/2 has frames of its own.
                if version.major == 1 { try? fields.append("Transfer-Encoding", "chunked") }
                self.framing = .chunked
            } else {
                self.framing = .untilClose
            }
        }
        self.head = ResponseHead(status: head.status, reason: head.reason, fields: fields)
    }

    /// An informational answer for the visitor.
    public static func informational(_ head: ResponseHead) -> ResponseHead {
        ResponseHead(status: head.status, reason: head.reason, fields: fields(of: head))
    }

    /// The answer that switches to another protocol.
    public static func switching(_ head: ResponseHead, to upgrade: String) -> ResponseHead {
        var fields = fields(of: head)
        try? fields.append("Connection", "Upgrade")
        try? fields.append("Upgrade", head.fields.first("Upgrade") ?? upgrade)
        return ResponseHead(status: 101, reason: head.reason, fields: fields)
    }

    /// The trailer fields of an answer that may be passed on.
    public static func trailers(_ trailers: HeaderFields) -> HeaderFields {
        trailers.only { FieldNames.mayTrail(FieldNames.spelling($0.name)) }
    }

    /// The fields without the length and those that end at the hop.
    private static func fields(of head: ResponseHead) -> HeaderFields {
        let options = Set(head.fields.list("Connection").map(FieldNames.spelling))
        return head.fields.only { name, _ in
            let kind = FieldKind(name)
            guard kind.isDisjoint(with: [.hopByHop, .length]) else { return false }
            return options.isEmpty || kind.contains(.lasting) || !options.contains(FieldNames.spelling(name))
        }
    }

    /// The one value of Content-Length, which may be repeated.
    private static func length(of head: ResponseHead) -> String? {
        head.fields.list("Content-Length").first.flatMap { Int($0) }.map { "\($0)" }
    }
}
