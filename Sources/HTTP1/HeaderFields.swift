/// The fields of a head, in the order and spelling in which they came.
///
/// A name is always a token and a value never holds a control character but tab (RFC 9110 section 5.5), whoever made
/// the list: so what is serialized cannot split a message. Names are compared without regard to ASCII case; an
/// underscore is no hyphen. Two lists are equal when they hold the same fields in the same order and spelling.
///
/// Not enforced: what a given field's value means.
public struct HeaderFields: Sendable, Equatable, Sequence {
    /// One field.
    public typealias Element = (name: String, value: String)

    fileprivate struct Field: Sendable, Equatable {
        var name: String
        var value: String
    }

    private var fields: [Field] = []

    /// No fields.
    public init() {}

    /// The fields given, in that order.
    ///
    /// - Throws: as `append` does.
    public init(_ pairs: [(String, String)]) throws(HTTP1Error) {
        for (name, value) in pairs {
            try append(name, value)
        }
    }

    /// Adds a field at the end. White space around the value is dropped.
    ///
    /// - Throws: `malformedFieldName` when the name is no token, `controlCharacter` when the value holds CR, LF, NUL or
    ///   any other control character but tab.
    public mutating func append(_ name: String, _ value: String) throws(HTTP1Error) {
        guard !name.isEmpty, name.utf8.allSatisfy(\.isToken) else { throw HTTP1Error(.malformedFieldName) }
        guard value.utf8.allSatisfy(\.isFieldContent) else { throw HTTP1Error(.controlCharacter) }
        fields.append(Field(name: name, value: String(Substring(value.utf8.trimmed))))
    }

    /// Adds a field whose line the grammar has accepted byte by byte.
    mutating func appendParsed(name: some Collection<UInt8>, value: some BidirectionalCollection<UInt8>) {
        fields.append(Field(name: String(decoding: name, as: UTF8.self), value: String(wire: value.trimmed)))
    }

    /// Goes on with the last field's value: a line end and the blanks around it count as one space (RFC 9112 section
    /// 5.2).
    mutating func continueParsed(_ line: some BidirectionalCollection<UInt8>) {
        let more = line.trimmed
        guard let last = fields.indices.last, !more.isEmpty else { return }
        if !fields[last].value.isEmpty { fields[last].value += " " }
        fields[last].value += String(wire: more)
    }

    /// How many fields there are.
    public var count: Int { fields.count }

    /// The values of all fields of that name, in order.
    public func values(of name: String) -> [String] {
        fields.filter { $0.name.equalsIgnoringCase(name) }.map(\.value)
    }

    /// The value of the first field of that name.
    public func first(_ name: String) -> String? {
        fields.first { $0.name.equalsIgnoringCase(name) }?.value
    }

    /// The value of a field that may occur once, or nil when it is absent.
    ///
    /// - Throws: `duplicateField` when it occurs more often, with equal values too.
    public func single(_ name: String) throws(HTTP1Error) -> String? {
        let values = values(of: name)
        guard values.count < 2 else { throw HTTP1Error(.duplicateField(name)) }
        return values.first
    }

    /// The members of a comma-separated list over all fields of that name, trimmed, without empty ones
    /// (RFC 9110 section 5.6.1). Quoted strings are not understood: a comma within one splits it too.
    public func list(_ name: String) -> [String] {
        values(of: name).flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ","))
                .map { String(Substring($0.trimmed)) }
                .filter { !$0.isEmpty }
        }
    }

    /// True when the list of that name has the token as a member, without regard to case.
    public func contains(_ name: String, token: String) -> Bool {
        list(name).contains { $0.equalsIgnoringCase(token) }
    }

    /// Goes through the fields in order.
    public struct Iterator: IteratorProtocol {
        private var base: Array<Field>.Iterator

        fileprivate init(_ fields: [Field]) {
            base = fields.makeIterator()
        }

        /// The next field, or nil at the end.
        public mutating func next() -> Element? {
            base.next().map { ($0.name, $0.value) }
        }
    }

    /// An iterator over the fields in order.
    public func makeIterator() -> Iterator {
        Iterator(fields)
    }
}
