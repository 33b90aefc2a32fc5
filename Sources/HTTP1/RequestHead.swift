import NIOCore

/// The request line and the fields of a request (RFC 9112, section 3).
public struct RequestHead: Sendable, Equatable {
    /// The method as received; methods are case-sensitive.
    public var method: String
    /// The request target as received, neither decoded nor normalised. ``route()`` splits it.
    public var target: String
    /// The version of the request line.
    public var version: HTTPVersion
    /// The fields.
    public var fields: HeaderFields

    /// Creates a head without checks; ``serialize(into:)`` checks its parts.
    public init(
        method: String,
        target: String,
        version: HTTPVersion = .http1_1,
        fields: HeaderFields = HeaderFields()
    ) {
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
    }

    /// Appends the head with its final empty line; appends nothing if it throws.
    ///
    /// - Throws: `malformedMethod`, `malformedTarget` or `unsupportedVersion` if a part could not be parsed back. So a
    ///   CR, LF, NUL or space cannot leave. Fields are checked when they are created.
    public func serialize(into buffer: inout ByteBuffer) throws(HTTP1Error) {
        guard !method.isEmpty, method.utf8.allSatisfy(\.isToken) else { throw HTTP1Error(.malformedMethod) }
        guard !target.isEmpty, target.utf8.allSatisfy(\.isTarget) else { throw HTTP1Error(.malformedTarget) }
        guard version.isSerializable else { throw HTTP1Error(.unsupportedVersion) }
        buffer.writeString("\(method) \(target) \(version)\r\n")
        fields.serialize(into: &buffer)
    }
}
