/// Sets plain text as mdoc(7): one sentence a line, lines that are not too long, and nothing that is taken for a macro.
struct MdocText {
    private static let width = 78

    /// The lines.
    let lines: [String]

    /// - Parameter text: the text, in which backquotes enclose what a user types.
    init(_ text: String) {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n") {
            if !lines.isEmpty { lines.append(".Pp") }
            lines += Self.paragraph(paragraph)
        }
        self.lines = lines
    }

    private static func paragraph(_ text: Substring) -> [String] {
        var lines: [String] = []
        // Every second part stood in backquotes.
        for (number, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
            if number.isMultiple(of: 2) {
                var words = part.split(separator: " ")
                if number > 0, !part.hasPrefix(" "), let first = words.first {
                    // The macro puts no space before these marks.
                    let marks = first.prefix { ".,;:)".contains($0) }
                    for mark in marks { lines[lines.count - 1] += " \(mark)" }
                    words[0] = first.dropFirst(marks.count)
                    if words[0].isEmpty { words.removeFirst() }
                }
                lines += sentences(words)
            } else {
                lines.append(".Ql " + part.split(separator: " ").map(word).joined(separator: " "))
            }
        }
        return lines
    }

    private static func sentences(_ words: [Substring]) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in words.map(word) {
            if !line.isEmpty, line.utf8.count + 1 + word.utf8.count > width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? atStart(word) : " \(word)"
            if word.hasSuffix(".") || word.hasSuffix(".)") {
                lines.append(line)
                line = ""
            }
        }
        return line.isEmpty ? lines : lines + [line]
    }

    /// A word with its escapes. The hyphens of options are minus signs, so that they can be copied.
    static func word(_ word: some StringProtocol) -> String {
        let text = String(word).replacing("\\", with: "\\e")
        return text.first.map { $0 == "-" || $0 == "'" } == true ? text.replacing("-", with: "\\-") : text
    }

    private static func atStart(_ word: String) -> String {
        word.hasPrefix(".") || word.hasPrefix("'") ? "\\&" + word : word
    }
}
