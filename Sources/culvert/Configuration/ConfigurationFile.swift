import TOMLKit

/// A configuration in TOML, or one table of it. An unknown key, a wrong type or an impossible value is a mistake,
/// reported with file and line.
///
/// Mistakes are collected in ``problems`` and not thrown, so that one run finds them all. A value with a mistake is
/// nil.
struct ConfigurationFile {
    /// The limit in bytes. 1 MiB: longer than any configuration.
    static let maximumLength = 1_048_576

    let path: String
    let table: TOMLTable
    let problems: ConfigurationProblems
    private let lines: TOMLLines
    /// The path of this table in the file; empty for the top.
    private let place: [TOMLStep]

    /// Reads and parses the file.
    init(path: String, _ problems: ConfigurationProblems) {
        self.path = path
        self.problems = problems
        place = []
        do throws(Failure) {
            let text = try TextFile.read(path, what: "configuration", limit: Self.maximumLength)
            let document = TOMLDocument(text, problems)
            table = document.table
            lines = TOMLLines(document.text)
        } catch {
            problems.add(error)
            problems.isPartial = true
            table = TOMLTable()
            lines = TOMLLines("")
        }
    }

    private init(_ parent: ConfigurationFile, _ table: TOMLTable, _ steps: [TOMLStep]) {
        self.path = parent.path
        self.problems = parent.problems
        self.lines = parent.lines
        self.table = table
        self.place = parent.place + steps
    }

    /// Whether the file has the key.
    func has(_ key: String) -> Bool { table[key] != nil }

    /// Reports every key that is not among `known`.
    ///
    /// - Parameter others: keys of the other role, for a more precise error.
    func allow(_ known: Set<String>, others: Set<String> = [], of role: String = "") {
        for key in table.keys where !known.contains(key) {
            if others.contains(key) {
                report(key, "this is a key of \(role), and the rest of this file is not")
            } else if let near = SpellingSuggestion.nearest(key, among: known) {
                report(key, "unknown key; did you mean \(near)?")
            } else {
                report(key, "unknown key; known here: \(known.sorted().joined(separator: ", "))")
            }
        }
    }

    func string(_ key: String) -> String? {
        guard let value = table[key] else { return nil }
        guard let string = value.string else { return wrong(key, "expected a string, in quotes") }
        return string
    }

    /// A string, or a list of strings.
    func strings(_ key: String) -> [String]? {
        guard let value = table[key] else { return nil }
        if let string = value.string { return [string] }
        guard let array = value.array else { return wrong(key, "expected a string or a list of strings, in quotes") }
        var strings: [String] = []
        for (number, element) in array.enumerated() {
            guard let string = element.string else {
                report(key, element: number, "expected a list of strings, in quotes")
                continue
            }
            strings.append(string)
        }
        return strings.count == array.count ? strings : nil
    }

    func integer(_ key: String) -> Int? {
        guard let value = table[key] else { return nil }
        guard let integer = value.int else { return wrong(key, "expected a whole number") }
        return integer
    }

    func boolean(_ key: String) -> Bool? {
        guard let value = table[key] else { return nil }
        guard let boolean = value.bool else { return wrong(key, "expected true or false") }
        return boolean
    }

    /// A string that the table must have.
    func required(_ key: String) -> String? {
        guard !has(key) else { return string(key) }
        // A mistyped key has been reported already.
        let isMistyped = table.keys.contains { SpellingSuggestion.nearest($0, among: [key]) != nil }
        if !problems.isPartial, !isMistyped { report(key, "missing") }
        return nil
    }

    /// The tables `[[name]]`, in order.
    func tables(_ name: String) -> [ConfigurationFile] {
        guard let value = table[name] else { return [] }
        guard let array = value.array else { return wrong(name, "expected tables, [[\(name)]]") ?? [] }
        var tables: [ConfigurationFile] = []
        for (number, element) in array.enumerated() {
            guard let table = element.table else {
                report(name, element: number, "expected tables, [[\(name)]]")
                continue
            }
            tables.append(ConfigurationFile(self, table, [.key(name), .index(number)]))
        }
        return tables
    }

    /// The table `[name]`; nil if it is missing.
    func table(_ name: String) -> ConfigurationFile? {
        guard let value = table[name] else { return nil }
        guard let table = value.table else { return wrong(name, "expected a table, [\(name)]") }
        return ConfigurationFile(self, table, [.key(name)])
    }

    // MARK: Mistakes

    /// Reports a mistake about a key, with its line.
    ///
    /// - Parameter element: the element of the key's list that is wrong, if it is one of several.
    func report(_ key: String, element: Int? = nil, _ problem: String, _ status: ExitStatus = .configuration) {
        problems.add(line: line(key, element), "\(name(key)): \(problem)", status)
    }

    /// Reports a warning about a key, which does not stop a start.
    func warn(_ key: String, _ problem: String) {
        problems.warn(line: line(key, nil), "\(name(key)): \(problem)")
    }

    /// Reports a mistake, and returns nil.
    func wrong<Value>(_ key: String, _ problem: String) -> Value? {
        report(key, problem)
        return nil
    }

    /// The key that a failure is about: the one whose value it names, otherwise the last of those that the file has.
    func key(_ keys: [String], of failure: Failure) -> String? {
        // A failure of an environment variable has no line in the file.
        guard !failure.description.hasPrefix("CULVERT_") else { return nil }
        let present = keys.filter(has)
        let named = present.first { key in
            guard let value = table[key]?.string, !value.isEmpty else { return false }
            return failure.description.contains(value)
        }
        return named ?? present.last
    }

    private func name(_ key: String) -> String {
        let tables = place.compactMap { step in if case .key(let name) = step { name } else { nil } }
        return (tables + [key]).joined(separator: ".")
    }

    private func line(_ key: String, _ element: Int?) -> Int {
        lines.line(of: place + [.key(key)] + (element.map { [.index($0)] } ?? []))
    }
}
