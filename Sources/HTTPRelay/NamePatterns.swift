/// The names that any of many patterns covers. A question costs one look-up for each label, and not one for each pattern.
public struct NamePatterns: Sendable {
    private var names: Set<String> = []
    private var domains: Set<Substring> = []
    private var coversAll = false

    /// Collects patterns.
    public init(_ patterns: some Sequence<NamePattern>) {
        for pattern in patterns {
            let text = pattern.description
            if text == "*" {
                coversAll = true
            } else if text.hasPrefix("*.") {
                domains.insert(text.dropFirst(2))
            } else {
                names.insert(text)
            }
        }
    }

    /// Whether a pattern covers a name.
    public func covers(_ name: PublicName) -> Bool {
        if coversAll || names.contains(name.description) { return true }
        var rest = Substring(name.description)
        while !domains.isEmpty, let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if domains.contains(rest) { return true }
        }
        return false
    }
}
