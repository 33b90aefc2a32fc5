import Foundation
import Tunnel

@testable import culvert

/// The tables of the page Limits, rendered from the rows of ``LimitTable``.
enum LimitPage {
    private static let head = ["| Limit | Key | Default | Range | Reason |", "|---|---|---|---|---|"]

    /// The tables, each with its heading on the page and its lines.
    static var tables: [(title: String, lines: [String])] {
        LimitTable.themes.map { theme in (theme.title, head + theme.rows.map { line($0, in: theme) }) } + [relations]
    }

    private static func line(_ limit: Limit, in theme: LimitTable.Theme) -> String {
        let range = limit.key.map { "\(text($0.range.lowerBound)) to \(text($0.range.upperBound))" } ?? ""
        let reason = limit.reason.prefix(1).uppercased() + limit.reason.dropFirst() + "."
        let cells = [limit.name, key(limit, theme.role), text(limit.value), range, reason]
        return "|" + cells.map { $0.isEmpty ? " " : " \($0) " }.joined(separator: "|") + "|"
    }

    /// The key, with its role if the theme has keys of both roles.
    private static func key(_ limit: Limit, _ role: LimitTable.Role) -> String {
        guard let key = limit.key else { return limit.isWire ? "wire" : "fixed" }
        let name = "`\(key.name)`"
        return switch (role, key.server != nil, key.client != nil) {
        case (.both, true, false): name + " (server)"
        case (.both, false, true): name + " (client)"
        default: name
        }
    }

    private static var relations: (title: String, lines: [String]) {
        let lines = LimitRelation.all.map { relation in
            let words =
                switch relation.kind {
                case .atMost: "at most"
                case .atMostHalfOf: "at most half of"
                case .below: "below"
                }
            return "| `\(relation.lesser)` | \(words) `\(relation.greater)` |"
        }
        return ("Keys that bound one another", ["| Key | Must be |", "|---|---|"] + lines)
    }

    private static func text(_ value: LimitValue) -> String {
        guard case .count(let number) = value else { return value.userDescription }
        return grouped(number)
    }

    /// `10,000`.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        let groups = stride(from: digits.count, to: 0, by: -3).map { String(digits[max(0, $0 - 3)..<$0]) }
        return groups.reversed().joined(separator: ",")
    }
}

/// A page in Markdown. Its tables are found by the headings above them.
struct MarkdownPage {
    private(set) var lines: [String]

    init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    var text: String { lines.joined(separator: "\n") }

    /// The titles of the sections that have a table.
    var titlesOfTables: [String] {
        var title = ""
        var titles: [String] = []
        for line in lines {
            if line.hasPrefix("#") {
                title = String(line.drop { $0 == "#" || $0 == " " })
            } else if line.hasPrefix("|"), titles.last != title {
                titles.append(title)
            }
        }
        return titles
    }

    /// The lines of the table under a heading; empty if there is none.
    func table(_ title: String) -> [String] { range(title).map { Array(lines[$0]) } ?? [] }

    /// Replaces the table under a heading.
    mutating func replace(_ title: String, with table: [String]) {
        guard let range = range(title) else { return }
        lines.replaceSubrange(range, with: table)
    }

    private func range(_ title: String) -> Range<Int>? {
        guard let heading = lines.firstIndex(where: { $0.hasPrefix("#") && $0.hasSuffix("# " + title) }),
            let start = lines[(heading + 1)...].firstIndex(where: { $0.hasPrefix("|") || $0.hasPrefix("#") }),
            lines[start].hasPrefix("|")
        else { return nil }
        return start..<(lines[start...].firstIndex { !$0.hasPrefix("|") } ?? lines.endIndex)
    }
}
