/// Finds the known word that a mistyped one probably stands for.
enum SpellingSuggestion {
    /// The nearest known word; nil if none is near.
    static func nearest(_ word: String, among known: some Sequence<String>) -> String? {
        let wanted = folded(word)
        // A third of the letters may be wrong, and at least one.
        let limit = max(1, wanted.count / 3)
        let near = known.sorted().map { ($0, distance(wanted, folded($0))) }.min { $0.1 < $1.1 }
        guard let near, near.1 <= limit else { return nil }
        return near.0
    }

    /// The word in lower case, with underscores for dashes.
    private static func folded(_ word: String) -> [UInt8] {
        Array(word.lowercased().utf8.prefix(64)).map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
    }

    /// The number of letters that were left out, added, changed or swapped with their neighbour.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var rows = [Array(0...right.count)]
        for (i, a) in left.enumerated() {
            var row = [i + 1]
            for (j, b) in right.enumerated() {
                var best = min(rows[i][j] + (a == b ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
