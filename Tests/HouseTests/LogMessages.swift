import Foundation

/// The messages of a source file that reach the log at info or above, as the literals of its calls.
struct LogMessages {
    /// A message's text, with `…` for each interpolation, and the name of its level; the level is nil if it varies.
    struct Message: Hashable {
        let text: String
        let level: String?
    }

    let all: Set<Message>

    init(of source: String) {
        var found: Set<Message> = []
        let levels = ["info", "notice", "warning", "error", "critical"]
        for level in levels {
            for texts in Self.firstArguments(of: "logger.\(level)(", in: source) {
                found.formUnion(texts.literals.map { Message(text: $0, level: level) })
            }
            for texts in Self.firstArguments(of: ".line(.now, .\(level), ", in: source) {
                found.formUnion(texts.literals.map { Message(text: $0, level: level) })
            }
        }
        // `throttle.log("…", at: .info, to: logger)`, and a file's own `log("…")`, which is always at info.
        for call in Self.firstArguments(of: "log(", in: source) where call.argument.hasPrefix("\"") {
            let level = levels.first { call.rest.hasPrefix("at: .\($0)") } ?? "info"
            found.formUnion(call.literals.map { Message(text: $0, level: level) })
        }
        for call in Self.firstArguments(of: "log(", in: source) where call.argument == "level: level" {
            let message = Self.literals(in: String(call.rest[..<Self.endOfArgument(call.rest)]))
            found.formUnion(message.map { Message(text: $0, level: nil) })
        }
        // Only an interpolation: an error whose own text is the message.
        all = found.filter { $0.text != "…" }
    }

    // MARK: Calls

    private struct Call {
        let argument: String
        /// The text behind the comma.
        let rest: Substring
        var literals: [String] { LogMessages.literals(in: argument) }
    }

    private static func firstArguments(of call: String, in source: String) -> [Call] {
        source.ranges(of: call).map { range in
            let text = source[range.upperBound...].drop { $0.isWhitespace }
            let end = endOfArgument(text)
            return Call(argument: String(text[..<end]), rest: text[end...].dropFirst().drop { $0.isWhitespace })
        }
    }

    /// The end of the first argument: a comma or a parenthesis outside of strings and parentheses.
    private static func endOfArgument(_ text: Substring) -> Substring.Index {
        var depth = 0
        var index = text.startIndex
        while index < text.endIndex {
            switch text[index] {
            case "\"":
                index = endOfLiteral(text, from: index)
                continue
            case "(", "[", "{": depth += 1
            case ")", "]", "}":
                if depth == 0 { return index }
                depth -= 1
            case "," where depth == 0: return index
            default: break
            }
            index = text.index(after: index)
        }
        return index
    }

    /// The index behind the literal that begins at an index.
    private static func endOfLiteral(_ text: Substring, from start: Substring.Index) -> Substring.Index {
        var depth = 0
        var index = text.index(after: start)
        while index < text.endIndex {
            let character = text[index]
            if character == "\\" {
                index = text.index(after: index)
                if index < text.endIndex, text[index] == "(" { depth += 1 }
            } else if depth > 0, character == "\"" {
                index = endOfLiteral(text, from: index)
                continue
            } else if depth > 0, character == "(" {
                depth += 1
            } else if depth > 0, character == ")" {
                depth -= 1
            } else if character == "\"" {
                return text.index(after: index)
            }
            if index < text.endIndex { index = text.index(after: index) }
        }
        return index
    }

    /// The literals of an argument, with `…` for interpolations. Literals that `+` joins are one.
    private static func literals(in argument: String) -> [String] {
        var result: [String] = []
        let text = argument[...]
        var index = text.startIndex
        var isJoined = false
        while index < text.endIndex {
            if text[index] == "\"" {
                let end = endOfLiteral(text, from: index)
                let content = text[text.index(after: index)..<text.index(before: end)]
                let shown = String(content).replacing(/\\\((?:[^()]|\([^()]*\))*\)/, with: "…")
                if isJoined, let last = result.popLast() { result.append(last + shown) } else { result.append(shown) }
                isJoined = false
                index = end
            } else {
                if text[index] == "+" { isJoined = true }
                index = text.index(after: index)
            }
        }
        return result
    }
}
