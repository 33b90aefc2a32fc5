import NIOCore

/// The status line and the fields of an answer (RFC 9112 section 4).
public struct ResponseHead: Sendable, Equatable {
    /// The version of the status line.
    public var version: HTTPVersion
    /// The status code, 100 to 999.
    public var status: Int
    /// The reason phrase, empty when there was none. Free text from the peer: escape it before it is shown.
    public var reason: String
    /// The fields.
    public var fields: HeaderFields

    /// A head of these parts. Nothing is checked before `serialize`.
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

    /// Appends the head with the empty line that ends it. Writes nothing when it throws.
    ///
    /// - Throws: `malformedStatus`, `malformedReason` or `unsupportedVersion` when a part could not be read back as
    ///   what it is. Fields are checked when they are made.
    public func serialize(into buffer: inout ByteBuffer) throws(HTTP1Error) {
        guard (100...999).contains(status) else { throw HTTP1Error(.malformedStatus) }
        guard reason.utf8.allSatisfy(\.isFieldContent) else { throw HTTP1Error(.malformedReason) }
        guard version.isSerializable else { throw HTTP1Error(.unsupportedVersion) }
        buffer.writeString("\(version) \(status) \(reason)\r\n")
        fields.serialize(into: &buffer)
    }
}
