/// One step down into a TOML document: a key of a table, or an element of an array.
enum TOMLStep: Hashable {
    case key(String)
    case index(Int)
}

/// Finds the lines of the keys and elements in a TOML text.
///
/// The TOML library reports lines only for syntax errors. This scan handles table heads in every form, dotted and
/// quoted keys, inline tables, and arrays over several lines. It accepts any text.
struct TOMLLines {
    /// The limit of nested arrays and tables, which is that of the TOML library.
    static let maximumDepth = 256

    private let lines: [[TOMLStep]: Int]
    /// The last line of each value, by the path of its key.
    private let ends: [[TOMLStep]: Int]

    /// - Parameter text: a document that the TOML library accepts; line ends are LF or CR LF.
    init(_ text: String) {
        var scan = TOMLScan(text)
        lines = scan.lines()
        ends = scan.ends
    }

    /// The lines of a key with its value, or of a table from its head to its last value; nil if the text does not have it.
    func range(of path: [TOMLStep]) -> ClosedRange<Int>? {
        guard let first = lines[path] else { return nil }
        let last = ends.lazy.filter { $0.key.starts(with: path) }.map(\.value).max() ?? first
        return first...max(first, last)
    }

    /// The line of a path, from 1. If the text does not have the path, it is the line of the nearest table above it.
    func line(of path: [TOMLStep]) -> Int {
        var path = path[...]
        while !path.isEmpty {
            if let line = lines[Array(path)] { return line }
            path.removeLast()
        }
        return 1
    }
}

/// Scans a text for ``TOMLLines``. Each step moves forward and checks the end of the text.
private struct TOMLScan {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var found: [[TOMLStep]: Int] = [:]
    private(set) var ends: [[TOMLStep]: Int] = [:]
    /// The number of tables of each array `[[name]]` so far.
    private var counts: [[TOMLStep]: Int] = [:]

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    mutating func lines() -> [[TOMLStep]: Int] {
        var table: [TOMLStep] = []
        while true {
            skipBlanks(overLines: true)
            guard let byte = current else { return found }
            if byte == UInt8(ascii: "[") { table = head() } else { entry(in: table, depth: 0) }
            skipRestOfLine()
        }
    }

    // MARK: Heads and entries

    /// Reads `[a.b]` or `[[a.b]]`, and returns the path of the table that begins there.
    private mutating func head() -> [TOMLStep] {
        let start = line
        advance()
        let isArray = current == UInt8(ascii: "[")
        if isArray { advance() }
        let keys = dottedKey()
        var path: [TOMLStep] = []
        for (number, key) in keys.enumerated() {
            path.append(.key(key))
            note(path, start)
            if isArray, number == keys.count - 1 {
                path.append(.index(counts[path, default: 0]))
                counts[Array(path.dropLast()), default: 0] += 1
                note(path, start)
            } else if let count = counts[path], number < keys.count - 1 {
                path.append(.index(count - 1))
            }
        }
        return path
    }

    /// Reads `key = value`, with the keys inside the value.
    private mutating func entry(in table: [TOMLStep], depth: Int) {
        let start = line
        var path = table
        for key in dottedKey() {
            path.append(.key(key))
            note(path, start)
        }
        guard current == UInt8(ascii: "=") else { return }
        advance()
        skipBlanks(overLines: false)
        value(at: path, depth: depth)
        ends[path] = line
    }

    private mutating func note(_ path: [TOMLStep], _ line: Int) {
        if found[path] == nil { found[path] = line }
    }

    // MARK: Values

    private mutating func value(at path: [TOMLStep], depth: Int) {
        guard let byte = current, depth < TOMLLines.maximumDepth else { return }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): _ = string()
        case UInt8(ascii: "["): elements(of: path, depth: depth)
        case UInt8(ascii: "{"): inlineTable(at: path, depth: depth)
        default: while let byte = current, !Self.endsBareValue(byte) { advance() }
        }
    }

    private mutating func elements(of path: [TOMLStep], depth: Int) {
        advance()
        var number = 0
        while true {
            skipBlanks(overLines: true)
            guard let byte = current else { return }
            switch byte {
            case UInt8(ascii: "]"): return advance()
            case UInt8(ascii: ","): advance()
            default:
                let element = path + [.index(number)]
                let start = position
                number += 1
                note(element, line)
                value(at: element, depth: depth + 1)
                if position == start { advance() }
            }
        }
    }

    private mutating func inlineTable(at path: [TOMLStep], depth: Int) {
        advance()
        while true {
            skipBlanks(overLines: true)
            guard let byte = current else { return }
            switch byte {
            case UInt8(ascii: "}"): return advance()
            case UInt8(ascii: ","): advance()
            default:
                let start = position
                entry(in: path, depth: depth + 1)
                if position == start { advance() }
            }
        }
    }

    private static func endsBareValue(_ byte: UInt8) -> Bool { ",]}#\n".utf8.contains(byte) }

    // MARK: Keys and strings

    /// Reads a key such as `a . "b.c" . 'd'`.
    private mutating func dottedKey() -> [String] {
        var keys: [String] = []
        while true {
            skipBlanks(overLines: false)
            let start = position
            if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") {
                keys.append(string())
            } else {
                while let byte = current, !" \t\r\n.=[]{},#".utf8.contains(byte) { advance() }
                if position > start { keys.append(String(decoding: bytes[start..<position], as: UTF8.self)) }
            }
            skipBlanks(overLines: false)
            guard current == UInt8(ascii: "."), position > start else { return keys }
            advance()
        }
    }

    /// Reads a string in any of its four forms, and returns its text.
    private mutating func string() -> String {
        guard let quote = current else { return "" }
        let isLong = bytes[position...].prefix(3).count { $0 == quote } == 3
        for _ in 0..<(isLong ? 3 : 1) { advance() }
        var text: [UInt8] = []
        while let byte = current {
            if byte == quote, !isLong || bytes[position...].prefix(3).count(where: { $0 == quote }) == 3 {
                // Up to two quotation marks may stand right before the three that end it.
                repeat { advance() } while isLong && current == quote
                break
            }
            if byte == UInt8(ascii: "\n"), !isLong { break }
            advance()
            guard byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") else {
                text.append(byte)
                continue
            }
            text += escape()
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads the escape after a backslash.
    private mutating func escape() -> [UInt8] {
        guard let byte = current else { return [] }
        advance()
        let digits: Int
        switch byte {
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "x"): digits = 2
        case UInt8(ascii: "u"): digits = 4
        case UInt8(ascii: "U"): digits = 8
        default: return [byte]
        }
        let end = min(position + digits, bytes.count)
        let hex = String(decoding: bytes[position..<end], as: UTF8.self)
        guard let scalar = UInt32(hex, radix: 16).flatMap(Unicode.Scalar.init) else { return [] }
        for _ in position..<end { advance() }
        return Array(String(Character(scalar)).utf8)
    }

    // MARK: Position

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func advance() {
        guard let byte = current else { return }
        if byte == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    /// Skips spaces, and optionally line ends and comments.
    private mutating func skipBlanks(overLines: Bool) {
        while let byte = current {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): advance()
            case UInt8(ascii: "\n") where overLines: advance()
            case UInt8(ascii: "#") where overLines: skipRestOfLine()
            default: return
            }
        }
    }

    private mutating func skipRestOfLine() {
        while let byte = current, byte != UInt8(ascii: "\n") { advance() }
    }
}
