import Foundation

/// The tables of a run.
struct MarkdownReport {
    let results: Results<TrialPlace>
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
        ResultsTable(
            title: workload.title(size),
            results: results,
            rows: systems.map { .init(name: $0.rawValue, place: .init(workload: workload, system: $0)) },
            reference: .init(workload: workload, system: workload.reference),
            figures: workload.figures
        ).text
    }

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
