extension String {
    /// Returns this text on one line, safe for a terminal or a log. Use it for everything that a peer sent (P15).
    ///
    /// Control, format, separator and unassigned characters become `\u{1B}`; format characters include bidirectional
    /// overrides. Tabs become spaces. Text beyond `limit` scalars is replaced by `…`.
    public func escapedForDisplay(limit: Int = 200) -> String {
        // Usual texts are short ASCII, and each value of each log line passes here.
        if utf8.count <= limit, utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
        var result = String.UnicodeScalarView()
        for (count, scalar) in unicodeScalars.enumerated() {
            guard count < limit else {
                result.append("…")
                break
            }
            switch scalar.properties.generalCategory {
            case .control where scalar == "\t":
                result.append(" ")
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
            default:
                result.append(scalar)
            }
        }
        return String(result)
    }
}
