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

    /// Whether a path, without its query, belongs to the service: `/api` covers `/api` and `/api/x`, and not `/apis`.
    ///
    /// Paths are compared byte for byte. A path with a segment `..` belongs to no service with a beginning of paths, since
    /// the service could resolve it to a path outside.
    public func covers(_ path: String) -> Bool {
        guard !self.path.isEmpty, self.path != "/" else { return true }
        guard path.utf8.starts(with: self.path.utf8), !Self.climbs(path) else { return false }
        return self.path.hasSuffix("/") || path.utf8.count == self.path.utf8.count
            || path.utf8.dropFirst(self.path.utf8.count).first == UInt8(ascii: "/")
    }

    /// Whether a segment is `..` for some program: encoded or not, behind either slash, with or without parameters.
    private static func climbs(_ path: String) -> Bool {
        let plain = path.lowercased().replacing("%2e", with: ".").replacing("%2f", with: "/").replacing(
            "%5c",
            with: "/"
        )
        .replacing("%3b", with: ";").replacing("\\", with: "/")
        return plain.split(separator: "/").contains { $0.prefix { $0 != ";" } == ".." }
    }
}
