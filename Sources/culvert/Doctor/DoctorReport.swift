import Synchronization
import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The lines of `culvert doctor`, printed as they come, or one JSON object at the end.
final class DoctorReport: Sendable {
    /// The whole as `--json` prints it.
    private struct Document: Encodable {
        let version: String
        let verdict: DiagnosisCheck.Verdict
        let checks: [DiagnosisCheck]
    }

    private struct State {
        var checks: [DiagnosisCheck] = []
        var status: ExitStatus?
        var hasProgress = false
    }

    private let json: Bool
    private let state = Mutex(State())
    private let layout = DoctorLayout(isColoured: DoctorLayout.takesColours)

    init(json: Bool) {
        self.json = json
    }

    /// The exit status of the first failed check; nil if none has failed.
    var status: ExitStatus? { state.withLock { $0.status } }

    /// All checks so far.
    var checks: [DiagnosisCheck] { state.withLock { $0.checks } }

    /// Takes a check, and prints it.
    ///
    /// - Parameter status: the exit status of a failure, if the check's consequence does not say it.
    func add(_ check: DiagnosisCheck, _ status: ExitStatus? = nil) {
        state.withLock { state in
            state.checks.append(check)
            if check.verdict == .fail, state.status == nil { state.status = status ?? ExitStatus(check.consequence) }
            guard !json else { return }
            if state.hasProgress { Output.progress("") }
            state.hasProgress = false
            for line in layout.lines(check) { Output.line(line) }
        }
    }

    /// Shows on a terminal how far a long measurement is.
    func progress(_ passed: Duration, of whole: Duration) {
        guard !json, Output.isErrorTerminal else { return }
        state.withLock { state in
            state.hasProgress = true
            Output.progress("idle: \(passed.components.seconds) of \(whole.components.seconds) s")
        }
    }

    /// Prints what comes at the end.
    func finish() {
        let (checks, status) = state.withLock { ($0.checks, $0.status) }
        let warnings = checks.count { $0.verdict == .warn }
        guard json else {
            return Output.line(
                status == nil
                    ? warnings == 0 ? "all is well" : "it works; \(warnings) \(warnings == 1 ? "warning" : "warnings")"
                    : "it does not work: begin with the first line that says fail"
            )
        }
        let verdict: DiagnosisCheck.Verdict = status != nil ? .fail : warnings > 0 ? .warn : .ok
        let document = Document(version: culvertVersion, verdict: verdict, checks: checks)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if let data = try? encoder.encode(document) { Output.line(String(decoding: data, as: UTF8.self)) }
    }
}

extension ExitStatus {
    /// The status of a failed check.
    init(_ consequence: DiagnosisCheck.Consequence?) {
        switch consequence {
        case .unreachable, nil: self = .unreachable
        case .refused: self = .refused
        case .notOurs: self = .notOurProtocol
        case .configuration: self = .configuration
        }
    }
}
