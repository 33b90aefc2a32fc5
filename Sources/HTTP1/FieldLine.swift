/// `field-name ":" OWS field-value OWS` (RFC 9112 section 5), line after line to the empty one.
///
/// Answers may break two rules that requests may not, because old proxies do, and nobody reads them behind us: a line
/// that begins with a blank goes on with the field before it (obs-fold, section 5.2), and blanks may stand between a
/// name and its colon (section 5.1).
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
    /// How many fields came before this line.
    private var count = 0
    /// Bytes of the field so far, those of the lines that this one continues among them.
    private var length = 0

    /// - Parameter isAnswer: the field lines of an answer, which need not be clean.
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
        // The reader counts the bytes of one line; a field in many lines must be no longer.
        guard length < limits.maximumLineBytes else { throw HTTP1Error(Self.tooLong) }
        length += 1
    }

    func end() throws(HTTP1Error) {
        switch part {
        case .start, .value, .continuation: return
        case .name, .blanks: throw HTTP1Error(.missingColon)
        }
    }

    /// Adds the accepted line to the fields, and is ready for the next one; false when it was the empty line that ends
    /// the head.
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
