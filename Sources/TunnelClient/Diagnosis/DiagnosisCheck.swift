/// The result of one check of a ``Diagnosis``: a line of its report.
public struct DiagnosisCheck: Sendable, Hashable, Codable {
    /// The judgement of a check.
    public enum Verdict: String, Sendable, Hashable, Codable {
        /// Nothing is wrong.
        case ok
        /// The tunnel works, and something could be better.
        case warn
        /// The tunnel does not work as configured.
        case fail
    }

    /// The consequence of a failed check for the exit code of a program.
    public enum Consequence: String, Sendable, Hashable, Codable {
        /// Something cannot be reached.
        case unreachable
        /// A peer refuses what was asked for.
        case refused
        /// A peer does not speak our protocol.
        case notOurs
        /// The configuration cannot work.
        case configuration
    }

    /// What was checked, in one or two words: `CONNECT`, `TLS`, `latency`.
    public var name: String
    /// The judgement.
    public var verdict: Verdict
    /// The fact that was found, in one line.
    public var fact: String
    /// One remedy; nil if there is nothing to do.
    public var remedy: String?
    /// Lines to paste, such as those of a front's configuration.
    public var lines: [String]?
    /// The figures of the fact by name. Times are in milliseconds, rates in bytes a second.
    public var figures: [String: Double]?
    /// The consequence of a failure; nil unless the verdict is `fail`.
    public var consequence: Consequence?

    /// A check without a failure.
    public init(
        _ name: String,
        _ verdict: Verdict,
        _ fact: String,
        remedy: String? = nil,
        lines: [String]? = nil,
        figures: [String: Double]? = nil
    ) {
        self.name = name
        self.verdict = verdict
        self.fact = fact
        self.remedy = remedy
        self.lines = lines
        self.figures = figures
    }

    /// A failed check.
    public static func failed(
        _ name: String,
        _ consequence: Consequence,
        _ fact: String,
        remedy: String? = nil,
        lines: [String]? = nil
    ) -> DiagnosisCheck {
        var check = DiagnosisCheck(name, .fail, fact, remedy: remedy, lines: lines)
        check.consequence = consequence
        return check
    }
}
