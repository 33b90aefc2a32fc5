import ArgumentParser
import Foundation
import TestSupport

/// The command that users run.
struct MeasureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert-bench",
        abstract: "Measures Culvert beside other tunnels, on loopback.",
        discussion: "`culvert-bench wan --help` is about long, lossy and throttled paths."
    )

    /// The limit of visitors, because each needs a source port.
    static let visitorLimit = 20_000

    @Option(help: "Systems, by commas: \(System.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)")
    var systems: CommaList<System>?
    @Option(help: "Scenarios, by commas: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)")
    var scenarios: CommaList<Workload>?
    @Option(help: "The number of rounds; the tables show medians.")
    var rounds = 3
    @Option(help: "Seconds of each measurement of a scenario that lasts for a time.")
    var seconds = 2.0
    @Option(help: "The number of connections of the idle scenario.")
    var idle = 5_000
    @Option(help: "The number of visitors of the visitors scenario.")
    var visitors = 10_000
    @Option(help: "A file for the Markdown, in addition to standard output.")
    var output: String?

    func validate() throws {
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be 1 to 100.") }
        guard (0.2...120).contains(seconds) else { throw ValidationError("--seconds must be 0.2 to 120.") }
        guard (1...Self.visitorLimit).contains(idle), (1...Self.visitorLimit).contains(visitors) else {
            throw ValidationError("--idle and --visitors must be 1 to \(Self.visitorLimit).")
        }
    }

    func run() async throws {
        let wanted = systems?.items ?? System.allCases
        let limit = DescriptorLimit.visitors
        let run = Run(
            systems: wanted.filter { $0.notReadyReason == nil },
            workloads: scenarios?.items ?? Workload.allCases,
            rounds: rounds,
            size: Size(seconds: seconds, idle: min(idle, limit), visitors: min(visitors, limit))
        )
        var notes = wanted.compactMap { system in system.notReadyReason.map { "\(system.rawValue) is skipped: \($0)" } }
        for (workload, count) in [(Workload.idle, idle), (.visitors, visitors)]
        where count > limit && run.workloads.contains(workload) {
            notes.append("\(limit) visitors, not \(count): a relay needs two descriptors for each, see `ulimit -Hn`.")
        }
        let results: Results<TrialPlace>
        do {
            results = try await Interruption.cancelling { try await run.results() }
        } catch is CancellationError {
            throw ExitCode(130)
        }
        let report = MarkdownReport(
            results: results,
            systems: run.systems,
            workloads: run.workloads,
            size: run.size,
            head: ReportHead(run: run, notes: notes).text
        )
        print(report.text, terminator: "")
        if let output { try report.text.write(toFile: output, atomically: true, encoding: .utf8) }
        if results.faults > 0 { throw ExitCode(1) }
    }
}

/// Several values of one option.
struct CommaList<Item: ExpressibleByArgument & Sendable>: ExpressibleByArgument, Sendable {
    let items: [Item]

    init(_ items: [Item]) { self.items = items }

    var defaultValueDescription: String { items.map(\.defaultValueDescription).joined(separator: ",") }

    init?(argument: String) {
        var items: [Item] = []
        for name in argument.split(separator: ",") {
            guard let item = Item(argument: String(name)) else { return nil }
            items.append(item)
        }
        guard !items.isEmpty else { return nil }
        self.items = items
    }
}
