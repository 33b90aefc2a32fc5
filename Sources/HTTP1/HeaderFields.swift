import NIOCore

/// The fields of a head in their original order and spelling.
///
/// A name is always a token, and a value never contains a control character except tab (RFC 9110, section 5.5). So a
/// serialized list cannot split a message. Names are compared without regard to ASCII case; an underscore differs from
/// a hyphen. Two lists are equal if they hold the same fields in the same order and spelling.
///
/// Not enforced: the meaning of a field's value.
public struct HeaderFields: Sendable, Equatable, Sequence {
    /// One field.
    public typealias Element = (name: String, value: String)

    fileprivate struct Field: Sendable, Equatable {
        var name: String
        var value: String
        /// The bytes of a value that is not UTF-8, so that they can be passed on as they came.
        var raw: [UInt8]?

        static func == (left: Field, right: Field) -> Bool { left.name == right.name && left.value == right.value }
    }

    private var fields: [Field] = []

    /// Creates an empty list.
    public init() {}

    /// Creates a list of fields in the given order.
    ///
    /// - Throws: as ``append(_:_:)``.
    public init(_ pairs: [(String, String)]) throws(HTTP1Error) {
        for (name, value) in pairs {
            try append(name, value)
        }
    }

    /// Appends a field without the white space around its value.
    ///
    /// - Throws: `malformedFieldName` if the name is not a token, `controlCharacter` if the value contains CR, LF, NUL
    ///   or another control character except tab.
    public mutating func append(_ name: String, _ value: String) throws(HTTP1Error) {
        guard !name.isEmpty, name.utf8.allSatisfy(\.isToken) else { throw HTTP1Error(.malformedFieldName) }
        guard value.utf8.allSatisfy(\.isFieldContent) else { throw HTTP1Error(.controlCharacter) }
        fields.append(Field(name: name, value: String(Substring(value.utf8.trimmed))))
    }

    /// Appends a field whose line the grammar has accepted.
    mutating func appendParsed(name: some Collection<UInt8>, value: some BidirectionalCollection<UInt8>) {
        let bytes = value.trimmed
        let text = String(validating: bytes, as: UTF8.self)
        fields.append(
            Field(
                name: String(decoding: name, as: UTF8.self),
                value: text ?? String(wire: bytes),
                raw: text == nil ? Array(bytes) : nil
            )
        )
    }

    /// Continues the last field's value. A line end and the blanks around it become one space (RFC 9112, section 5.2).
    mutating func continueParsed(_ line: some BidirectionalCollection<UInt8>) {
        let more = line.trimmed
        guard let last = fields.indices.last, !more.isEmpty else { return }
        let isText = String(validating: more, as: UTF8.self) != nil
        if !isText, fields[last].raw == nil { fields[last].raw = Array(fields[last].value.utf8) }
        if !fields[last].value.isEmpty {
            fields[last].value += " "
            fields[last].raw?.append(.space)
        }
        fields[last].value += String(wire: more)
        fields[last].raw?.append(contentsOf: more)
    }

    /// Returns the fields that satisfy a condition, whose values keep their bytes.
    package func only(where isIncluded: (Element) -> Bool) -> HeaderFields {
        var result = HeaderFields()
        result.fields = fields.filter { isIncluded(($0.name, $0.value)) }
        return result
    }

    /// Appends the fields of another list, whose values keep their bytes.
    package mutating func append(contentsOf other: HeaderFields) { fields += other.fields }

    /// Appends the field lines and the empty line.
    func serialize(into buffer: inout ByteBuffer) {
        for field in fields {
            buffer.writeString(field.name)
            buffer.writeString(": ")
            if let raw = field.raw { buffer.writeBytes(raw) } else { buffer.writeString(field.value) }
            buffer.writeString("\r\n")
        }
        buffer.writeString("\r\n")
    }

    /// The number of fields.
    public var count: Int { fields.count }

    /// Returns the values of all fields with a name, in order.
    public func values(of name: String) -> [String] {
        var values: [String] = []
        for field in fields where field.name.equalsIgnoringCase(name) { values.append(field.value) }
        return values
    }

    /// Returns the value of the first field with a name; nil if there is none.
    public func first(_ name: String) -> String? {
        fields.first { $0.name.equalsIgnoringCase(name) }?.value
    }

    /// Returns the value of a field that may occur once; nil if it is absent.
    ///
    /// - Throws: `duplicateField` if it occurs more often, even with equal values.
    public func single(_ name: String) throws(HTTP1Error) -> String? {
        var found: String?
        for field in fields where field.name.equalsIgnoringCase(name) {
            guard found == nil else { throw HTTP1Error(.duplicateField(name)) }
            found = field.value
        }
        return found
    }

    /// Returns the non-empty elements of a comma-separated list over all fields with a name, trimmed (RFC 9110, section
    /// 5.6.1). Quoted strings are not recognised: a comma inside one splits it.
    public func list(_ name: String) -> [String] {
        let values = values(of: name)
        guard !values.isEmpty else { return [] }
        return values.flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ","))
                .map { String(Substring($0.trimmed)) }
                .filter { !$0.isEmpty }
        }
    }

    /// Returns whether the list of a name contains a token, without regard to case.
    public func contains(_ name: String, token: String) -> Bool {
        list(name).contains { $0.equalsIgnoringCase(token) }
    }

    /// Iterates over the fields in order.
    public struct Iterator: IteratorProtocol {
        private var base: Array<Field>.Iterator

        fileprivate init(_ fields: [Field]) {
            base = fields.makeIterator()
        }

        /// Returns the next field; nil at the end.
        public mutating func next() -> Element? {
            base.next().map { ($0.name, $0.value) }
        }
    }

    /// Returns an iterator over the fields in order.
    public func makeIterator() -> Iterator {
        Iterator(fields)
    }
}
