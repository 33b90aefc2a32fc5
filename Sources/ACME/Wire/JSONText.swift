/// A value of JSON to send. Members keep their order, and there is no white space, as RFC 7638 wants of a thumbprint.
indirect enum JSONText: Sendable {
    case string(String)
    case bool(Bool)
    case array([JSONText])
    case object([(String, JSONText)])
    /// A text that is JSON already.
    case raw(String)

    /// The text.
    var text: String {
        switch self {
        case .string(let value): Self.quoted(value)
        case .bool(let value): value ? "true" : "false"
        case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { Self.quoted($0.0) + ":" + $0.1.text }.joined(separator: ",") + "}"
        case .raw(let text): text
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
