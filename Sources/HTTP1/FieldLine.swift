/// The grammar of field lines up to the empty line: `field-name ":" OWS field-value OWS` (RFC 9112, section 5).
///
/// Answers may break two rules that requests may not, since old proxies do and no later recipient reads the head. A
/// line that begins with a blank continues the field before it (obs-fold, section 5.2). Blanks may stand between a name
/// and its colon (section 5.1).
struct FieldLine: LineGrammar {
    private enum Part {
        case start
        case name
        case blanks(name: Int)
        case value(name: Int, colon: Int)
        case continuation
    }

    static var tooLong: HTTP1Error.Kind { .lineTooLong }

    private let limits: HeadLimits
    private let isAnswer: Bool
    private var part = Part.start
    /// Fields before this line.
    private var count = 0
    /// Bytes of the field so far, including the lines that this one continues.
    private var length = 0

    /// Creates the grammar of a head's field lines.
    ///
    /// - Parameter isAnswer: whether the lines belong to an answer and may break the two rules.
    init(limits: HeadLimits, isAnswer: Bool) {
        self.limits = limits
        self.isAnswer = isAnswer
    }

    mutating func accept(_ byte: UInt8) throws(HTTP1Error) {
        switch part {
        case .start where byte.isBlank:
            guard isAnswer, count > 0 else { throw HTTP1Error(.foldedLine) }
            part = .continuation
        case .start:
            guard byte.isToken else { throw HTTP1Error(.malformedFieldName) }
            guard count < limits.maximumFields else { throw HTTP1Error(.tooManyFields) }
            length = 0
            part = .name
        case .name:
            if byte == .colon {
                part = .value(name: length, colon: length)
            } else if byte.isBlank {
                guard isAnswer else { throw HTTP1Error(.whitespaceBeforeColon) }
                part = .blanks(name: length)
            } else {
                guard byte.isToken else { throw HTTP1Error(.malformedFieldName) }
            }
        case .blanks(let name):
            if byte == .colon {
                part = .value(name: name, colon: length)
            } else {
                guard byte.isBlank else { throw HTTP1Error(.malformedFieldName) }
            }
        case .value, .continuation:
            guard byte.isFieldContent else { throw HTTP1Error(.controlCharacter) }
        }
        // The reader limits each line; this limits a field of several lines.
        guard length < limits.maximumLineBytes else { throw HTTP1Error(Self.tooLong) }
        length += 1
    }

    func end() throws(HTTP1Error) {
        switch part {
        case .start, .value, .continuation: return
        case .name, .blanks: throw HTTP1Error(.missingColon)
        }
    }

    /// Adds the accepted line to the fields and prepares for the next line.
    ///
    /// - Returns: false for the empty line that ends the head.
    mutating func append(_ line: [UInt8], to fields: inout HeaderFields) -> Bool {
        defer { (part, count) = (.start, fields.count) }
        switch part {
        case .start, .name, .blanks:
            return false
        case .value(let name, let colon):
            fields.appendParsed(name: line.prefix(name), value: line.dropFirst(colon + 1))
        case .continuation:
            fields.continueParsed(line)
        }
        return true
    }
}
