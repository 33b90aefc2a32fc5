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
        var fields = Self.fields(of: head, keepsLength: framing == .none && head.status != 204)
        switch framing {
        case .none:
            self.framing = .none
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
        ResponseHead(status: head.status, reason: head.reason, fields: fields(of: head, keepsLength: false))
    }

    /// The answer that switches to another protocol.
    public static func switching(_ head: ResponseHead, to upgrade: String) -> ResponseHead {
        var fields = fields(of: head, keepsLength: false)
        try? fields.append("Connection", "Upgrade")
        try? fields.append("Upgrade", head.fields.first("Upgrade") ?? upgrade)
        return ResponseHead(status: 101, reason: head.reason, fields: fields)
    }

    /// The trailer fields that may be passed on.
    public static func trailers(_ trailers: HeaderFields) -> HeaderFields {
        var result = HeaderFields()
        for (name, value) in trailers where !FieldNames.heads.contains(FieldNames.spelling(name)) {
            try? result.append(name, value)
        }
        return result
    }

    /// The fields without those that end at the hop.
    ///
    /// - Parameter keepsLength: whether Content-Length describes a body that is not sent, as in an answer to HEAD.
    private static func fields(of head: ResponseHead, keepsLength: Bool) -> HeaderFields {
        let options = Set(head.fields.list("Connection").map { $0.lowercased() })
        var fields = HeaderFields()
        var hasLength = false
        for (name, value) in head.fields {
            let lowered = name.lowercased()
            guard !FieldNames.hopByHop.contains(lowered) else { continue }
            if lowered == "content-length" {
                guard keepsLength, !hasLength else { continue }
                hasLength = true
            } else if options.contains(lowered), !FieldNames.lasting.contains(lowered) {
                continue
            }
            // The parser has checked both.
            try? fields.append(name, value)
        }
        return fields
    }
}
