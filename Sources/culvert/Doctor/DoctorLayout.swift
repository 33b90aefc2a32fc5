import Platform
import Tunnel

/// Lays the checks of `culvert doctor` out as text.
struct DoctorLayout {
    /// The width of the column of names: the longest are `configuration` and `proxy choice`.
    private static let nameWidth = 14

    let isColoured: Bool

    /// Whether standard output is a terminal whose user wants colours.
    static var takesColours: Bool {
        isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
            && getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? false
    }

    /// All lines of some checks.
    func text(_ checks: [DiagnosisCheck]) -> String { checks.flatMap(lines).joined(separator: "\n") }

    /// The line of a check, with its remedy and its lines to paste below it.
    func lines(_ check: DiagnosisCheck) -> [String] {
        let name = check.name + String(repeating: " ", count: max(1, Self.nameWidth - check.name.count))
        var lines = ["\(word(check.verdict))  \(name)\(check.fact)"]
        let indent = String(repeating: " ", count: 6 + Self.nameWidth)
        if let remedy = check.remedy { lines.append("\(indent)-> \(remedy)") }
        for line in check.lines ?? [] { lines.append("\(indent)   \(line)") }
        return lines
    }

    private func word(_ verdict: DiagnosisCheck.Verdict) -> String {
        let word = verdict == .ok ? "ok  " : verdict.rawValue
        guard isColoured else { return word }
        let colour =
            switch verdict {
            case .ok: 32
            case .warn: 33
            case .fail: 31
            }
        return "\u{1B}[\(colour)m\(word)\u{1B}[0m"
    }
}
