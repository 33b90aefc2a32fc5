import HTTP1

/// What the owner of a name wants done to the requests for it.
public struct RelayRules: Sendable, Hashable {
    /// The Host field that the service gets; nil for the visitor's own.
    public var hostHeader: String?
    /// Fields that the service gets in place of the visitor's own of these names.
    public var setHeaders: [Field] = []
    /// The beginning of the paths that lead to the service, `/api`; empty for all paths.
    public var path = ""

    /// A field to set.
    public struct Field: Sendable, Hashable {
        /// A token.
        public let name: String
        /// Without control characters.
        public let value: String

        /// Creates a field.
        ///
        /// - Throws: `malformedFieldName` or `controlCharacter`, or `malformedFieldName` for a field that frames a message or
        ///   ends at each hop.
        public init(_ name: String, _ value: String) throws(HTTP1Error) {
            _ = try HeaderFields([(name, value)])
            let spelling = FieldNames.spelling(name)
            guard !FieldNames.framing.contains(spelling), !FieldNames.hopByHop.contains(spelling) else {
                throw HTTP1Error(.malformedFieldName)
            }
            (self.name, self.value) = (name, value)
        }
    }

    /// Rules that change nothing.
    public init() {}

    /// Whether a path belongs to the service: `/api` covers `/api`, `/api/x` and `/api?x`, and not `/apis`.
    public func covers(_ path: String) -> Bool {
        guard !self.path.isEmpty, self.path != "/" else { return true }
        guard path.hasPrefix(self.path) else { return false }
        return self.path.hasSuffix("/") || path.utf8.count == self.path.utf8.count
            || path.utf8.dropFirst(self.path.utf8.count).first == UInt8(ascii: "/")
    }
}
