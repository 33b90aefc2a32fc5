/// A table of one workload, with a row for each system.
struct ResultsTable<Place: Hashable & Sendable> {
    /// A row.
    struct Row {
        /// The name of the system.
        let name: String
        let place: Place
    }

    let title: String
    let results: Results<Place>
    let rows: [Row]
    /// The place with which the first figure is compared.
    let reference: Place
    /// The columns. Ratio and spread refer to the first.
    let figures: [Figure]

    /// The table in Markdown; nil without results.
    var text: String? {
        let shown = rows.filter { results.hasTrials(at: $0.place) }
        guard !shown.isEmpty, let first = figures.first else { return nil }
        let titles = ["system", first.title, "ratio"] + figures.dropFirst().map(\.title) + ["spread", "faults"]
        let rule = "|---" + String(repeating: "|--:", count: titles.count - 1) + "|"
        var lines = ["## \(title)", "", line(titles), rule]
        var notes: [String] = []
        for row in shown {
            lines.append(line(cells(row, first)))
            notes += results.failures(at: row.place).prefix(1).map { "\(row.name) failed: \($0)" }
        }
        return (lines + notes.flatMap { ["", $0] }).joined(separator: "\n")
    }

    private func cells(_ row: Row, _ first: Figure) -> [String] {
        let medians = figures.map { figure in
            results.median(of: figure, at: row.place).map { MarkdownReport.number($0, figure.decimals) } ?? "–"
        }
        return [row.name, medians[0], ratio(row.place, first)] + medians.dropFirst()
            + [spread(row.place, first), "\(results.faults(at: row.place))"]
    }

    private func ratio(_ place: Place, _ figure: Figure) -> String {
        guard let median = results.median(of: figure, at: place),
            let compared = results.median(of: figure, at: reference), compared > 0
        else { return "–" }
        return MarkdownReport.number(median / compared, 2)
    }

    private func spread(_ place: Place, _ figure: Figure) -> String {
        let values = results.values(of: figure, at: place)
        guard let low = values.min(), let high = values.max() else { return "–" }
        return "\(MarkdownReport.number(low, figure.decimals)) to \(MarkdownReport.number(high, figure.decimals))"
    }

    private func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
}
