import TOMLKit

/// A parsed TOML text. Syntax errors are reported and repaired if possible, and the rest is read.
struct TOMLDocument {
    /// The limit of syntax errors that one run reports.
    static let maximumErrors = 50

    let table: TOMLTable
    /// The text that was parsed, with the lines of the original.
    let text: String

    init(_ original: String, _ problems: ConfigurationProblems) {
        var lines = original.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
        for _ in 0..<Self.maximumErrors {
            let text = lines.joined(separator: "\n")
            do {
                table = try TOMLTable(string: text)
                self.text = text
                return
            } catch let error as TOMLParseError {
                let number = min(max(1, error.source.begin.line), lines.count)
                Self.repair(&lines, number, error.description, problems)
            } catch {
                problems.add(Failure(.configuration, "the file cannot be read as TOML"))
                break
            }
        }
        problems.isPartial = true
        table = TOMLTable()
        text = ""
    }

    /// Reports the error of a line, and changes the line into one that can be parsed.
    private static func repair(
        _ lines: inout [String],
        _ number: Int,
        _ description: String,
        _ problems: ConfigurationProblems
    ) {
        if let error = TOMLSyntaxError(lines[number - 1]) {
            problems.addSyntax(line: number, error.problem)
            lines[number - 1] = error.repaired
            return
        }
        problems.addSyntax(line: number, description)
        problems.isPartial = true
        if isEntryOfOneLine(lines[number - 1]) {
            lines[number - 1] = ""
        } else {
            // After a table's head or a value over several lines, the end of the damage is unknown, so the rest is
            // dropped.
            lines.removeLast(lines.count - number + 1)
            lines.append("")
        }
    }

    private static func isEntryOfOneLine(_ line: String) -> Bool {
        guard !line.drop(while: { $0 == " " || $0 == "\t" }).hasPrefix("["), let equals = line.firstIndex(of: "=")
        else {
            return false
        }
        let value = line[line.index(after: equals)...].drop { $0 == " " || $0 == "\t" }
        return !["[", "{", "\"\"\"", "'''"].contains { value.hasPrefix($0) }
    }
}

/// A line that is not TOML but shows what was meant: a value without quotes, or a pasted verifier line.
struct TOMLSyntaxError {
    /// What to write. It never repeats a value that may be a secret.
    let problem: String
    /// The line as it was meant.
    let repaired: String

    /// Keys whose values may hold secrets.
    private static let secret: Set<String> = [
        "token", "verifier", "proxy", "proxy_user", "proxy_header", "header", "url", "basic_auth",
    ]

    /// Nil if the line has no such error.
    init?(_ line: String) {
        let text = line.trimmed
        if text.hasPrefix("verifier culvert1:") || text.hasPrefix("verifier: culvert1:") {
            let verifier = text.drop { $0 != " " }.drop { $0 == " " }
            problem = "verifier: this is the whole line of `culvert token`; write verifier = \"culvert1:...\""
            repaired = "verifier = \"\(Self.escaped(String(verifier)))\""
            return
        }
        guard let equals = text.firstIndex(of: "=") else { return nil }
        let key = String(text[..<equals]).trimmed
        let comment = text[equals...].firstRange(of: " #")?.lowerBound ?? text.endIndex
        let value = String(text[text.index(after: equals)..<comment]).trimmed
        guard Self.isKey(key), let first = value.first, !"\"'[{".contains(first) else { return nil }
        if let boolean = Self.booleans[value.lowercased()], boolean != value {
            problem = "\(key): write true or false, in small letters: \(key) = \(boolean)"
            repaired = "\(key) = \(boolean)"
            return
        }
        let isCurly = "“”„‘’".contains(first)
        let plain = isCurly ? value.filter { !"“”„‘’".contains($0) } : value
        let name = key.split(separator: ".").last.map(String.init) ?? key
        let shown = Self.secret.contains(name) ? "..." : Self.escaped(plain)
        let quotes = isCurly ? "straight quotes" : "quotes"
        problem = "\(key): the value must stand in \(quotes): \(key) = \"\(shown)\""
        repaired = "\(key) = \"\(Self.escaped(plain))\""
    }

    private static let booleans = [
        "true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false",
    ]

    private static func isKey(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789_-.".unicodeScalars.contains($0))
            }
    }

    private static func escaped(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }))
            .replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }
}

extension String {
    /// The text without spaces and tabs around it.
    fileprivate var trimmed: String {
        var text = self[...].drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
