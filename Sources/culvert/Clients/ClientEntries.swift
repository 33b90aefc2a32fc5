import Tunnel

/// The `[[client]]` entries of a server's configuration as text, with changes that leave all other lines as they are. Pure.
struct ClientEntries {
    /// An entry, as far as changes need it.
    struct Entry: Equatable {
        let name: String
        let verifiers: [String]
    }

    /// The whole text.
    private(set) var text: String
    /// The entries, in order.
    let entries: [Entry]

    /// Reads a configuration that was checked.
    init(_ text: String) {
        self.text = text
        let document = TOMLDocument(text, ConfigurationProblems(nil))
        let tables = document.table["client"]?.array.map { $0.compactMap(\.table) } ?? []
        entries = tables.map { table in
            let verifier = table["verifier"]
            let verifiers = verifier?.string.map { [$0] } ?? verifier?.array.map { $0.compactMap(\.string) } ?? []
            return Entry(name: table["name"]?.string ?? "", verifiers: verifiers)
        }
    }

    /// The number of the entry of a client; nil if there is none.
    func index(of name: String) -> Int? { entries.firstIndex { $0.name == name } }

    // MARK: Changes

    /// Adds an entry at the end.
    ///
    /// - Parameter lines: further lines of the entry, `key = value`.
    mutating func add(_ name: String, verifier: String, _ lines: [String] = []) {
        let entry = ["[[client]]", "name = \(Self.quoted(name))", "verifier = \(Self.quoted(verifier))"] + lines
        if !text.isEmpty, !text.hasSuffix("\n") { text += lineEnd }
        if !text.isEmpty { text += lineEnd }
        text += entry.map { $0 + lineEnd }.joined()
    }

    /// Removes an entry, with the lines from its head to its last value.
    ///
    /// - Returns: false if the entry has no lines of its own, since it is written in another form.
    mutating func remove(_ index: Int) -> Bool {
        guard let range = lines(of: [.key("client"), .index(index)]) else { return false }
        return replace(range, with: [])
    }

    /// Replaces the verifiers of an entry.
    ///
    /// - Returns: false if they have no line of their own.
    mutating func setVerifiers(_ verifiers: [String], of index: Int) -> Bool {
        guard let range = lines(of: [.key("client"), .index(index), .key("verifier")]) else { return false }
        let quoted = verifiers.map(Self.quoted)
        guard quoted.count > 1 else { return replace(range, with: ["verifier = \(quoted.joined())"]) }
        return replace(range, with: ["verifier = ["] + quoted.map { "    \($0)," } + ["]"])
    }

    /// The lines of a path, unless others share them.
    private func lines(of path: [TOMLStep]) -> ClosedRange<Int>? {
        let lines = TOMLLines(text.replacing("\r\n", with: "\n"))
        guard let range = lines.range(of: path), let whole = lines.range(of: [.key("client"), path[1]]),
            // An inline table has its head and its values in one line.
            path.count == 2 ? whole.count > 1 : range.lowerBound > whole.lowerBound
        else { return nil }
        return range
    }

    private mutating func replace(_ range: ClosedRange<Int>, with new: [String]) -> Bool {
        var lines = text.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
        guard range.upperBound <= lines.count else { return false }
        var last = range.upperBound
        // The blank line that an entry leaves behind goes with it.
        if new.isEmpty, last < lines.count - 1, lines[last].allSatisfy(\.isWhitespace) { last += 1 }
        lines.replaceSubrange((range.lowerBound - 1)..<last, with: new)
        text = lines.joined(separator: lineEnd)
        return true
    }

    private var lineEnd: String { text.contains("\r\n") ? "\r\n" : "\n" }

    /// A basic string of TOML.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            default:
                if scalar.value < 32 || scalar.value == 127 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
