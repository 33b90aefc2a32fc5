extension String {
    /// This text on one line and safe for a terminal or a log: control, format (bidirectional overrides among them),
    /// separator and unassigned characters are written as `\u{1B}`, tabs as spaces, and what exceeds `limit` scalars
    /// is cut and marked with `…`. For everything that a peer sent (P15).
    public func escapedForDisplay(limit: Int = 200) -> String {
        // Most texts are short and plain ASCII, and this is asked for each value of each line of a log.
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
