import Foundation
import TOMLKit

/// A configuration in TOML, read strictly: an unknown key, a wrong type or an impossible value is an error that names
/// file and line.
///
/// The TOML library knows lines only for syntax errors, so the line of a key is found by a small scan of the text.
struct ConfigurationFile {
    /// Longer than any configuration.
    private static let maximumLength = 1_048_576

    let path: String
    private let text: String
    let table: TOMLTable
    /// The name of this table in the file, and which of its namesakes it is; nil for the top.
    private let section: (name: String, index: Int)?

    /// Reads and parses the file.
    init(path: String) throws(Failure) {
        self.path = path
        text = try TextFile.read(path, what: "configuration", limit: Self.maximumLength)
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw Failure(.configuration, "\(path):\(error.source.begin.line): \(error.description)")
        } catch {
            throw Failure(.configuration, "\(path): \(error.inWords)")
        }
        section = nil
    }

    private init(_ parent: ConfigurationFile, _ table: TOMLTable, section: (String, Int)) {
        self.path = parent.path
        self.text = parent.text
        self.table = table
        self.section = section
    }

    /// Whether the key is there.
    func has(_ key: String) -> Bool { table[key] != nil }

    /// Refuses every key that is not among `known`.
    func allow(_ known: Set<String>) throws(Failure) {
        for key in table.keys where !known.contains(key) {
            let near = known.sorted().joined(separator: ", ")
            throw failure(key, "unknown key; known here: \(near)")
        }
    }

    func string(_ key: String) throws(Failure) -> String? {
        guard let value = table[key] else { return nil }
        guard let string = value.string else { throw failure(key, "expected a string") }
        return string
    }

    /// A string, or a list of strings.
    func strings(_ key: String) throws(Failure) -> [String]? {
        guard let value = table[key] else { return nil }
        if let string = value.string { return [string] }
        guard let array = value.array else { throw failure(key, "expected a string or a list of strings") }
        var strings: [String] = []
        for element in array {
            guard let string = element.string else { throw failure(key, "expected a list of strings") }
            strings.append(string)
        }
        return strings
    }

    func integer(_ key: String) throws(Failure) -> Int? {
        guard let value = table[key] else { return nil }
        guard let integer = value.int else { throw failure(key, "expected a whole number") }
        return integer
    }

    func boolean(_ key: String) throws(Failure) -> Bool? {
        guard let value = table[key] else { return nil }
        guard let boolean = value.bool else { throw failure(key, "expected true or false") }
        return boolean
    }

    /// The tables `[[name]]`, in order.
    func tables(_ name: String) throws(Failure) -> [ConfigurationFile] {
        guard let value = table[name] else { return [] }
        guard let array = value.array else { throw failure(name, "expected tables, [[\(name)]]") }
        var tables: [ConfigurationFile] = []
        for element in array {
            guard let table = element.table else { throw failure(name, "expected tables, [[\(name)]]") }
            tables.append(ConfigurationFile(self, table, section: (name, tables.count)))
        }
        return tables
    }

    /// The table `[name]`, where it is there.
    func table(_ name: String) throws(Failure) -> ConfigurationFile? {
        guard let value = table[name] else { return nil }
        guard let table = value.table else { throw failure(name, "expected a table, [\(name)]") }
        return ConfigurationFile(self, table, section: (name, 0))
    }

    /// An error about a key, with its line.
    func failure(_ key: String, _ problem: String) -> Failure {
        let name = section.map { "\($0.name).\(key)" } ?? key
        return Failure(.configuration, "\(path):\(line(of: key)): \(name): \(problem)")
    }

    /// The line on which the key stands in this table, the table's own where it does not stand there.
    private func line(of key: String) -> Int {
        var current: String?
        var seen = -1
        var found = 1
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.drop { $0 == " " || $0 == "\t" }
            if line.hasPrefix("[") {
                current = String(line.drop { $0 == "[" }.prefix { $0 != "]" })
                if current == section?.name {
                    seen += 1
                    if seen == section?.index { found = number + 1 }
                }
                if section == nil, current == key { return number + 1 }
                continue
            }
            let name = line.prefix { $0 != "=" && $0 != " " && $0 != "\t" }
            if let section, current == nil, name == "\(section.name).\(key)" { return number + 1 }
            // A table in braces stands on the line of its name.
            if let section, current == nil, name == section.name { found = number + 1 }
            guard current == section?.name, section == nil || seen == section?.index else { continue }
            if name == key || name == "\"\(key)\"" { return number + 1 }
        }
        return found
    }
}
