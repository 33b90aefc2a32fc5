import HTTP1

/// Formats names, values and numbers for the exposition text.
enum MetricText {
    /// The longest label value, in scalars.
    static let longestValue = 128

    /// A metric's name, with underscores for illegal characters.
    static func name(_ text: String) -> String {
        repaired(text, allowsColon: true)
    }

    /// A label's name. Prometheus reserves names that begin with two underscores, and `le` belongs to histograms.
    static func labelName(_ text: String) -> String {
        let name = repaired(text, allowsColon: false)
        return name.hasPrefix("__") || name == "le" || name == "quantile" ? "label_\(name)" : name
    }

    private static func repaired(_ text: String, allowsColon: Bool) -> String {
        var result = ""
        for byte in text.utf8 {
            let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
            let isDigit = (0x30...0x39).contains(byte)
            if isDigit, result.isEmpty { result = "_" }
            let isFine = isLetter || isDigit || (allowsColon && byte == UInt8(ascii: ":"))
            result.unicodeScalars.append(isFine ? Unicode.Scalar(byte) : "_")
        }
        return result.isEmpty ? "_" : result
    }

    /// A label's value in one line, cut to the limit.
    static func labelValue(_ text: String) -> String {
        text.escapedForDisplay(limit: longestValue)
    }

    /// A label's value, escaped for its quotes.
    static func escapedValue(_ text: String) -> String {
        escaped(text, quotes: true)
    }

    /// The text after HELP.
    static func escapedHelp(_ text: String) -> String {
        escaped(text, quotes: false)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// A number, without a fraction if it is whole.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        guard let whole = Int64(exactly: value) else { return "\(value)" }
        return "\(whole)"
    }
}
