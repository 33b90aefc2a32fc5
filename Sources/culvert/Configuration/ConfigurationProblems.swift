/// Collects the mistakes and warnings of one configuration, in the order of its lines.
///
/// A start and `culvert check` read a configuration with the same code. A start ends with the first mistake, and
/// `check` prints all.
final class ConfigurationProblems {
    private struct Entry {
        /// The line; 0 for a flag, the environment, or the whole file.
        let line: Int
        let text: String
        /// Nil for a warning.
        let status: ExitStatus?
        /// Whether it is a syntax error, from which other mistakes may follow.
        var isSyntax = false
    }

    /// The file; nil if everything comes from flags.
    let path: String?
    /// Whether the configuration is only checked, so that no file may be made.
    let isTrial: Bool
    /// Whether parts of the file could not be read, so that a missing key may be in them.
    var isPartial = false
    private var entries: [Entry] = []

    init(_ path: String?, isTrial: Bool = false) {
        self.path = path
        self.isTrial = isTrial
    }

    /// Whether there is a mistake, which stops a start.
    var hasErrors: Bool { entries.contains { $0.status != nil } }

    /// Notes a mistake at a line of the file.
    func add(line: Int, _ text: String, _ status: ExitStatus = .configuration) {
        note(Entry(line: line, text: text, status: status))
    }

    /// Notes a mistake in the syntax.
    func addSyntax(line: Int, _ text: String) {
        note(Entry(line: line, text: text, status: .configuration, isSyntax: true))
    }

    /// Notes a mistake of a flag or the environment, which has no line.
    func add(_ failure: Failure) {
        note(Entry(line: 0, text: failure.description, status: failure.status))
    }

    /// Notes that something necessary is missing.
    func addMissing(_ text: String) {
        guard !isPartial else { return }
        note(Entry(line: 0, text: text, status: .configuration))
    }

    /// Notes a warning, which does not stop a start.
    func warn(line: Int, _ text: String) {
        note(Entry(line: line, text: text, status: nil))
    }

    private func note(_ entry: Entry) {
        guard !entries.contains(where: { $0.line == entry.line && $0.text == entry.text }) else { return }
        entries.append(entry)
    }

    /// Runs a body, and notes its failure.
    ///
    /// - Parameters:
    ///   - file: the file with the keys; nil if the values come from flags.
    ///   - keys: the keys whose values the body uses. The failure is noted at the first one whose value it names,
    ///     otherwise at the last one that the file has.
    func attempt<Value>(
        _ file: ConfigurationFile?,
        _ keys: String...,
        body: () throws(Failure) -> Value
    ) -> Value? {
        do throws(Failure) {
            return try body()
        } catch {
            guard let file, let key = file.key(keys, of: error) else {
                add(error)
                return nil
            }
            file.report(key, error.description, error.status)
            return nil
        }
    }

    /// One line for each mistake and warning: `FILE:LINE: text`.
    var lines: [String] { sorted.map(line) }

    /// Prints the warnings, and throws the first syntax error, or the first mistake if there is none.
    func settle() throws(Failure) {
        for entry in sorted where entry.status == nil { Output.error("culvert: warning: \(place(entry))\(entry.text)") }
        let errors = sorted.filter { $0.status != nil }
        guard let first = errors.first(where: \.isSyntax) ?? errors.first, let status = first.status else { return }
        guard errors.count > 1, let path else { throw Failure(status, line(first)) }
        let more = "\(errors.count - 1) more: `culvert check --config \(path)` lists them"
        throw Failure(status, "\(line(first)) (and \(more))")
    }

    /// The status of the first mistake; nil if there is none.
    var status: ExitStatus? { sorted.lazy.compactMap(\.status).first }

    /// The first mistake, as ``settle()`` throws it; nil if there is none.
    var firstLine: String? {
        let errors = sorted.filter { $0.status != nil }
        return (errors.first(where: \.isSyntax) ?? errors.first).map(line)
    }

    private var sorted: [Entry] {
        // Entries without a line come last.
        let numbered = entries.enumerated().map { (line: $1.line > 0 ? $1.line : .max, offset: $0, entry: $1) }
        return numbered.sorted { ($0.line, $0.offset) < ($1.line, $1.offset) }.map(\.entry)
    }

    private func line(_ entry: Entry) -> String {
        place(entry) + (entry.status == nil ? "warning: " : "") + entry.text
    }

    private func place(_ entry: Entry) -> String {
        guard let path else { return "" }
        if entry.line > 0 { return "\(path):\(entry.line): " }
        // A text that names the file needs no prefix.
        return entry.text.contains(path) ? "" : "\(path): "
    }
}
