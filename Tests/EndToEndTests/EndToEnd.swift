import TestSupport
import Testing

/// Tests of the real executable with real programs: command line, standard output, exit codes, and TCP at visitors and
/// services.
///
/// The tests run in turn, because each starts several processes, and several at once would distort times. Tests that
/// usually wait are in separate suites such as ``TimeoutTests``, which run beside.
@Suite(.serialized, .timeLimit(.minutes(TestRun.isHeavy ? 20 : 5)))
enum EndToEnd {}

extension Trait where Self == ConditionTrait {
    /// Skips the test with a note if a program is missing. In CI the test runs and fails.
    static func needs(_ programs: Program...) -> Self {
        let missing = programs.filter { $0.path == nil }
        let list = missing.map { "\($0) (apt-get install \($0.package))" }.joined(separator: ", ")
        return .enabled(if: missing.isEmpty || TestRun.isCI, "not installed: \(list)")
    }
}
