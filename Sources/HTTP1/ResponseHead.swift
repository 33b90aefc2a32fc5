import NIOCore

/// The status line and the fields of an answer (RFC 9112, section 4).
public struct ResponseHead: Sendable, Equatable {
    /// The version of the status line.
    public var version: HTTPVersion
    /// The status code, 100 to 999.
    public var status: Int
    /// The reason phrase; empty if there was none. Free text from the peer: escape it before display.
    public var reason: String
    /// The fields.
    public var fields: HeaderFields

    /// Creates a head without checks; ``serialize(into:)`` checks its parts.
    public init(
        version: HTTPVersion = .http1_1,
        status: Int,
        reason: String = "",
        fields: HeaderFields = HeaderFields()
    ) {
        self.version = version
        self.status = status
        self.reason = reason
        self.fields = fields
    }

    /// Appends the head with its final empty line; appends nothing if it throws.
    ///
    /// - Throws: `malformedStatus`, `malformedReason` or `unsupportedVersion` if a part could not be parsed back.
    ///   Fields are checked when they are created.
    public func serialize(into buffer: inout ByteBuffer) throws(HTTP1Error) {
        guard (100...999).contains(status) else { throw HTTP1Error(.malformedStatus) }
        guard reason.utf8.allSatisfy(\.isFieldContent) else { throw HTTP1Error(.malformedReason) }
        guard version.isSerializable else { throw HTTP1Error(.unsupportedVersion) }
        buffer.writeString("\(version) \(status) \(reason)\r\n")
        fields.serialize(into: &buffer)
    }
}
