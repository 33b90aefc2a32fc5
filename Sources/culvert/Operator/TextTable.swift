/// Formats rows in columns that are as wide as their widest cell.
struct TextTable {
    enum Alignment {
        case leading
        case trailing
    }

    struct Column {
        let title: String
        var alignment = Alignment.leading
    }

    private static let gap = "  "

    let columns: [Column]
    private(set) var rows: [[String]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row with one cell for each column.
    mutating func append(_ row: [String]) {
        precondition(row.count == columns.count, "a row with another number of cells than columns")
        rows.append(row)
    }

    /// The lines, the titles first; none ends with spaces.
    var lines: [String] {
        let titles = columns.map(\.title)
        let widths = columns.indices.map { column in
            ([titles] + rows).map { $0[column].count }.max() ?? 0
        }
        return ([titles] + rows).map { row in
            let cells = zip(columns, zip(row, widths)).map { column, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return column.alignment == .leading ? cell.0 + padding : padding + cell.0
            }
            let line = cells.joined(separator: Self.gap)
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}
