/// `field-name ":" OWS field-value OWS` (RFC 9112 section 5), the same for requests and answers.
struct FieldLine: LineGrammar {
    private enum Part {
        case start
        case name(count: Int)
        case value(colon: Int)
    }

    static var tooLong: HTTP1Error.Kind { .lineTooLong }

    private var part = Part.start
    private let isOnePastTheLimit: Bool

    /// - Parameter count: how many fields came before this line.
    init(after count: Int, limits: HeadLimits) {
        isOnePastTheLimit = count >= limits.maximumFields
    }

    mutating func accept(_ byte: UInt8) throws(HTTP1Error) {
        switch part {
        case .start:
            guard !byte.isBlank else { throw HTTP1Error(.foldedLine) }
            guard byte.isToken else { throw HTTP1Error(.malformedFieldName) }
            guard !isOnePastTheLimit else { throw HTTP1Error(.tooManyFields) }
            part = .name(count: 1)
        case .name(let count):
            if byte == .colon {
                part = .value(colon: count)
            } else {
                guard !byte.isBlank else { throw HTTP1Error(.whitespaceBeforeColon) }
                guard byte.isToken else { throw HTTP1Error(.malformedFieldName) }
                part = .name(count: count + 1)
            }
        case .value:
            guard byte.isFieldContent else { throw HTTP1Error(.controlCharacter) }
        }
    }

    func end() throws(HTTP1Error) {
        switch part {
        case .start, .value: return
        case .name: throw HTTP1Error(.missingColon)
        }
    }

    /// Adds the accepted line to the fields; false when it was the empty line that ends the head.
    func append(_ line: [UInt8], to fields: inout HeaderFields) -> Bool {
        guard case .value(let colon) = part else { return false }
        fields.appendParsed(name: line.prefix(colon), value: line.dropFirst(colon + 1))
        return true
    }
}
