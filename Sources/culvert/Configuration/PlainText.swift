/// Decodes text in UTF-8 without its byte order mark, and refuses other encodings. So a secret in a file is the one
/// that was typed, or an error.
enum PlainText {
    /// The reason why bytes are not text. It never contains any of them.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Decodes UTF-8.
    static func decode(_ bytes: [UInt8]) throws(Unreadable) -> String {
        let bytes = try withoutMark(bytes)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line = lineOfFirstMistake(bytes)
            throw Unreadable(description: "is not in UTF-8 (line \(line) may be Latin-1); save it as UTF-8")
        }
        // Joined files can have a mark in the middle.
        if let place = text.unicodeScalars.firstIndex(of: "\u{FEFF}") {
            let line = text.unicodeScalars[..<place].count { $0 == "\n" } + 1
            throw Unreadable(description: "has a byte order mark within its text, in line \(line); remove it")
        }
        guard !text.utf8.contains(0) else { throw Unreadable(description: "has zero bytes; save it as UTF-8") }
        return text
    }

    /// Removes a mark of UTF-8, and refuses UTF-16, with or without its mark.
    static func withoutMark(_ bytes: [UInt8]) throws(Unreadable) -> [UInt8] {
        let isMarked = bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF])
        // In UTF-16 one of the first two bytes of ASCII text is zero.
        let isWide = bytes.count >= 2 && (bytes[0] == 0) != (bytes[1] == 0)
        guard !isMarked, !isWide else { throw Unreadable(description: "is in UTF-16; save it as UTF-8") }
        guard bytes.first != 0 else { throw Unreadable(description: "is not text: it begins with zero bytes") }
        return bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
    }

    private static func lineOfFirstMistake(_ bytes: [UInt8]) -> Int {
        var line = 1
        for part in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard String(validating: part, as: UTF8.self) != nil else { return line }
            line += 1
        }
        return 1
    }
}
