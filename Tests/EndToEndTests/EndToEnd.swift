import TestSupport
import Testing

/// The real executable among real programs, driven from outside by the contract: command line, standard output, exit
/// codes, and TCP as visitors and services see it.
///
/// One scene after the other: each starts several processes, and a machine of two cores shows the truth about one.
/// What mostly waits stands in ``PatienceTests``, beside.
@Suite(.serialized, .timeLimit(.minutes(TestRun.isHeavy ? 20 : 5)))
enum EndToEnd {}

extension Trait where Self == ConditionTrait {
    /// Skips the test, visibly, where a program is missing; in CI it runs and fails.
    static func needs(_ programs: Program...) -> Self {
        let missing = programs.filter { $0.path == nil }
        let list = missing.map { "\($0) (apt-get install \($0.package))" }.joined(separator: ", ")
        return .enabled(if: missing.isEmpty || TestRun.isCI, "not installed: \(list)")
    }
}
