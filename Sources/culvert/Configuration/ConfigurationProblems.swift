/// Everything that is wrong with one configuration, in the order of its lines.
///
/// A start and `culvert check` read a configuration with the same code into this. A start ends with the first mistake;
/// `check` prints them all.
final class ConfigurationProblems {
    private struct Entry {
        /// 0 for what has no line: a flag, the environment, or the whole file.
        let line: Int
        let text: String
        /// Nil for a warning.
        let status: ExitStatus?
        /// Whether the text is malformed there, so that other mistakes may follow from it.
        var isSyntax = false
    }

    /// The file; nil if everything comes from flags.
    let path: String?
    /// Whether nothing may be changed, because nothing is to be started.
    let isTrial: Bool
    /// Whether parts of the file could not be read, so that what seems to be missing may stand there.
    var isPartial = false
    private var entries: [Entry] = []

    init(_ path: String?, isTrial: Bool = false) {
        self.path = path
        self.isTrial = isTrial
    }

    /// Whether something is wrong that stops a start.
    var hasErrors: Bool { entries.contains { $0.status != nil } }

    /// Notes a mistake at a line of the file.
    func add(line: Int, _ text: String, _ status: ExitStatus = .configuration) {
        note(Entry(line: line, text: text, status: status))
    }

    /// Notes a mistake in the syntax.
    func addSyntax(line: Int, _ text: String) {
        note(Entry(line: line, text: text, status: .configuration, isSyntax: true))
    }

    /// Notes a mistake that has no line: that of a flag or the environment.
    func add(_ failure: Failure) {
        note(Entry(line: 0, text: failure.description, status: failure.status))
    }

    /// Notes that something necessary is not there.
    func addMissing(_ text: String) {
        guard !isPartial else { return }
        note(Entry(line: 0, text: text, status: .configuration))
    }

    /// Notes what does not stop a start.
    func warn(line: Int, _ text: String) {
        note(Entry(line: line, text: text, status: nil))
    }

    private func note(_ entry: Entry) {
        guard !entries.contains(where: { $0.line == entry.line && $0.text == entry.text }) else { return }
        entries.append(entry)
    }

    /// Runs what may fail, and notes the failure.
    ///
    /// - Parameters:
    ///   - file: where the keys stand; nil if the values come from flags.
    ///   - keys: the keys whose values are used. The failure is noted at the first one whose value it names, else at the
    ///     last one that is there.
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

    /// Prints the warnings, and throws the first mistake, or the first one in the syntax.
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

    private var sorted: [Entry] {
        // What has no line comes last.
        let numbered = entries.enumerated().map { (line: $1.line > 0 ? $1.line : .max, offset: $0, entry: $1) }
        return numbered.sorted { ($0.line, $0.offset) < ($1.line, $1.offset) }.map(\.entry)
    }

    private func line(_ entry: Entry) -> String {
        place(entry) + (entry.status == nil ? "warning: " : "") + entry.text
    }

    private func place(_ entry: Entry) -> String {
        guard let path else { return "" }
        if entry.line > 0 { return "\(path):\(entry.line): " }
        // What names the file itself needs no second name.
        return entry.text.contains(path) ? "" : "\(path): "
    }
}
