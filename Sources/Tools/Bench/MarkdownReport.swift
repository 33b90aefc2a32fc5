import Foundation

/// The tables of a run.
struct MarkdownReport {
    let results: Results
    let systems: [System]
    let workloads: [Workload]
    let size: Size
    /// The head of the report.
    let head: String

    /// The whole report.
    var text: String {
        ([head] + workloads.compactMap { table($0) }).joined(separator: "\n\n") + "\n"
    }

    private func table(_ workload: Workload) -> String? {
        let shown = systems.filter { results.hasTrials(at: .init(workload: workload, system: $0)) }
        guard !shown.isEmpty, let first = workload.figures.first else { return nil }
        let titles =
            ["system", first.title, "ratio"] + workload.figures.dropFirst().map(\.title) + ["spread", "faults"]
        var lines = ["## \(workload.title(size))", "", row(titles), "|---" + repeated("|--:", titles.count - 1) + "|"]
        var notes: [String] = []
        for system in shown {
            let place = Results.Place(workload: workload, system: system)
            lines.append(row(cells(place, workload.figures)))
            notes += results.failures(at: place).prefix(1).map { "\(system.rawValue) failed: \($0)" }
        }
        return (lines + notes.flatMap { ["", $0] }).joined(separator: "\n")
    }

    private func cells(_ place: Results.Place, _ figures: [Figure]) -> [String] {
        var cells = [place.system.rawValue]
        for (index, figure) in figures.enumerated() {
            let median = results.median(of: figure, at: place)
            cells.append(median.map { Self.number($0, figure.decimals) } ?? "–")
            if index == 0 { cells.append(ratio(median, figure, place.workload)) }
        }
        return cells + [spread(place, figures[0]), "\(results.faults(at: place))"]
    }

    private func ratio(_ median: Double?, _ figure: Figure, _ workload: Workload) -> String {
        let reference = results.median(of: figure, at: .init(workload: workload, system: workload.reference))
        guard let median, let reference, reference > 0 else { return "–" }
        return Self.number(median / reference, 2)
    }

    private func spread(_ place: Results.Place, _ figure: Figure) -> String {
        let values = results.values(of: figure, at: place)
        guard let low = values.min(), let high = values.max() else { return "–" }
        return "\(Self.number(low, figure.decimals)) to \(Self.number(high, figure.decimals))"
    }

    private func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

    private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    /// Formats a number with decimals and a separator of thousands.
    static func number(_ value: Double, _ decimals: Int) -> String {
        let text = String(format: "%.\(decimals)f", abs(value))
        let whole = text.prefix { $0 != "." }
        var grouped = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index).isMultiple(of: 3) { grouped += "," }
            grouped.append(digit)
        }
        return (value < 0 ? "-" : "") + grouped + text.dropFirst(whole.count)
    }
}
